"""A training as a page to look at: what was trained, how it went, and what the model gets wrong."""

from headway.training.report.report import TrainReport

__all__ = ["TrainReport"]
