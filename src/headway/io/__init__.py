"""Reading and writing checkpoints: where their files are, their tensors, and what a load did."""
