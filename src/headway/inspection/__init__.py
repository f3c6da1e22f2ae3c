"""What a checkpoint is, seen from its config and the headers of its files, before anything else is read."""

from headway.inspection.inspect import inspect_model
from headway.inspection.inspection import Inspection

__all__ = ["Inspection", "inspect_model"]
