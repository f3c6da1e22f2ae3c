"""Several processes on one model."""
