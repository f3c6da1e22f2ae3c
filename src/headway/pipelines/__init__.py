"""Pipelines: texts in, answers out. One file a task; a file is found by being here.

A pipeline for a task of your own is a subclass of ``Pipeline`` (or ``TextPipeline``) with a ``task``: from its
definition on, ``pipeline`` and the command line know it.
"""

from headway.pipelines.base import Pipeline
from headway.pipelines.load import pipeline
from headway.pipelines.options import Options, option
from headway.pipelines.text import TextPipeline

__all__ = ["Options", "Pipeline", "TextPipeline", "option", "pipeline"]
