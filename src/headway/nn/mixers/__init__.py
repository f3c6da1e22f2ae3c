"""Token mixers of their own kind."""
