"""Pipelines: inputs in, answers out. One file a task; a file is found by being here.

A pipeline for a task of your own is a subclass of ``Pipeline`` (or ``TextPipeline``, ``ImagePipeline``) with a
``task``: from its definition on, ``pipeline`` and the command line know it. ``PIPELINE_REGISTRY`` enters classes too.
"""

from headway.pipelines.base import Pipeline
from headway.pipelines.image import ImagePipeline
from headway.pipelines.load import pipeline
from headway.pipelines.options import Options, option
from headway.pipelines.registered import PIPELINE_REGISTRY
from headway.pipelines.text import TextPipeline

__all__ = ["PIPELINE_REGISTRY", "ImagePipeline", "Options", "Pipeline", "TextPipeline", "option", "pipeline"]
