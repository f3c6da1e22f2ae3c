"""Models whose linear layers hold whole numbers of 8 or 4 bits: which layers, how files say it, and what it costs."""
