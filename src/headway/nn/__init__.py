"""The modules that a spec is built of, shared by all families.

Importing the package enters every module in the table of builders.
"""

from headway.nn import embed, experts, layer, mlp, norm, stack
from headway.nn.attention import standard
from headway.nn.mixers import disentangled, latent
from headway.nn.positions import absolute, alibi, bias, rotary

__all__ = [
    "absolute",
    "alibi",
    "bias",
    "disentangled",
    "embed",
    "experts",
    "latent",
    "layer",
    "mlp",
    "norm",
    "rotary",
    "stack",
    "standard",
]
