"""The modules that a spec is built of, shared by all families.

Importing the package enters every module in the table of builders.
"""

<<<<<<< HEAD
from headway.nn import embed, experts, layer, mlp, norm, stack
from headway.nn.attention import standard
from headway.nn.mixers import disentangled, latent
from headway.nn.positions import absolute, alibi, bias, rotary
=======
from headway.nn import embed, layer, mlp, norm, patches, pool, stack
from headway.nn.attention import standard
from headway.nn.mixers import disentangled
from headway.nn.positions import absolute, alibi, bias, grid, rotary
>>>>>>> 214e235 (DeiT, BEiT and DINOv2: scaled layers, biases over a grid of patches, poolers that say what they read)

__all__ = [
    "absolute",
    "alibi",
    "bias",
    "disentangled",
    "embed",
<<<<<<< HEAD
    "experts",
    "latent",
    "layer",
    "mlp",
    "norm",
=======
    "grid",
    "layer",
    "mlp",
    "norm",
    "patches",
    "pool",
>>>>>>> 214e235 (DeiT, BEiT and DINOv2: scaled layers, biases over a grid of patches, poolers that say what they read)
    "rotary",
    "stack",
    "standard",
]
