"""The Auto classes: what a checkpoint says of itself decides which class loads it."""
