"""Writing text with a model: what decides the next token, when to stop, and the ways to search."""
