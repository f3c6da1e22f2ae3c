"""The modules that a spec is built of, shared by all families.

Importing the package enters every module in the table of builders.
"""

from headway.nn import embed, experts, layer, mlp, norm, patches, pool, stack
from headway.nn.attention import standard
from headway.nn.mixers import disentangled, latent, state_space
from headway.nn.positions import absolute, alibi, bias, grid, rotary

__all__ = [
    "absolute",
    "alibi",
    "bias",
    "disentangled",
    "embed",
    "experts",
    "grid",
    "latent",
    "layer",
    "mlp",
    "norm",
    "patches",
    "pool",
    "rotary",
    "stack",
    "standard",
    "state_space",
]
