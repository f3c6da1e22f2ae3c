"""Positions that attention uses: each is prepared once a pass by the stack that owns it."""
