"""The parameters of a network by its spec alone: their canonical names and shapes, as its modules would have them."""

from headway.parameters.backbone import parameters_of
from headway.parameters.heads import head_parameters
from headway.parameters.tensor import Tensor, Tensors

__all__ = ["Tensor", "Tensors", "head_parameters", "parameters_of"]
