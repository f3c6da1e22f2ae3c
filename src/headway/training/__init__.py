"""Training: data collators, optimizers, schedules and metrics."""
