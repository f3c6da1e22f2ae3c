"""Models as ONNX graphs; ``headway.export_onnx`` writes them."""

from headway.onnx.config import OnnxConfig

__all__ = ["OnnxConfig"]
