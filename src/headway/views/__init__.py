"""Looking inside a model: attention maps and hidden states, as pages that need nothing else, and as pictures."""
