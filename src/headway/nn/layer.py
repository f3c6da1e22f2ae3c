"""Layers: how token mixer, memory and channel mixer stand in their residual branches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from headway import spec
from headway.errors import ConfigError
from headway.nn.activations import activation
from headway.nn.attention.standard import CrossAttention
from headway.nn.builders import build, builds
from headway.nn.run import Run


class Layer(nn.Module):
    """The parts of a layer; subclasses arrange them.

    They look parts up in ``_modules``: as attributes each costs half a microsecond, which small models feel.
    """

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__()
        norm = layer.residual.norm
        self.attn = build(layer.mixer, width, positions)
        self.attn_norm = build(norm, width)
        self.cross: Any = None if layer.cross is None else CrossAttention(layer.cross, width)
        self.cross_norm: Any = None if layer.cross is None else build(norm, width)
        self.mlp: Any = None if layer.mlp is None else build(layer.mlp, width)
        self.mlp_norm: Any = None if layer.mlp is None else build(norm, width)
        self.dropout = layer.dropout

    def drop(self, x: Tensor) -> Tensor:
        """Dropout of a branch while training."""
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class PreNormLayer(Layer):
    """``x + f(norm(x))``."""

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        x = x + self.drop(parts["attn"](parts["attn_norm"](x), run))
        if run.memory is not None and parts.get("cross") is not None:
            x = x + self.drop(parts["cross"](parts["cross_norm"](x), run))
        return x if parts.get("mlp") is None else x + self.drop(parts["mlp"](parts["mlp_norm"](x), run))


class Float32PreNormLayer(PreNormLayer):
    """``PreNormLayer`` whose sums are in float32; norms give the parameters' dtype."""

    def forward(self, x: Tensor, run: Run) -> Tensor:
        return super().forward(x.float(), run)


class FirstPreNormLayer(PreNormLayer):
    """``x + f(x)``, then ``x + f(norm(x))``."""

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__(layer, width, positions)
        self.attn_norm = nn.Identity()


class PostNormLayer(Layer):
    """``norm(x + f(x))``."""

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        x = parts["attn_norm"](x + self.drop(parts["attn"](x, run)))
        if run.memory is not None and parts.get("cross") is not None:
            x = parts["cross_norm"](x + self.drop(parts["cross"](x, run)))
        if parts.get("mlp") is not None:
            x = parts["mlp_norm"](x + self.drop(parts["mlp"](x, run)))
        return x


class SandwichLayer(Layer):
    """``x + norm(f(norm(x)))``."""

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__(layer, width, positions)
        norm = layer.residual.norm
        self.attn_out_norm = build(norm, width)
        self.cross_out_norm: Any = None if layer.cross is None else build(norm, width)
        self.mlp_out_norm: Any = None if layer.mlp is None else build(norm, width)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        x = x + self.drop(parts["attn_out_norm"](parts["attn"](parts["attn_norm"](x), run)))
        if run.memory is not None and parts.get("cross") is not None:
            x = x + self.drop(parts["cross_out_norm"](parts["cross"](parts["cross_norm"](x), run)))
        return (
            x
            if parts.get("mlp") is None
            else x + self.drop(parts["mlp_out_norm"](parts["mlp"](parts["mlp_norm"](x), run)))
        )


class NormedResidualLayer(Layer):
    """``norm(x) + f(norm(x))``."""

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        x = parts["attn_norm"](x)
        x = x + self.drop(parts["attn"](x, run))
        if run.memory is not None and parts.get("cross") is not None:
            x = parts["cross_norm"](x)
            x = x + self.drop(parts["cross"](x, run))
        if parts.get("mlp") is None:
            return x
        x = parts["mlp_norm"](x)
        return x + self.drop(parts["mlp"](x, run))


class ParallelNormsLayer(Layer):
    """``x + mixer(norm(x)) + mlp(norm'(x))``."""

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__(layer, width, positions)
        if layer.cross is not None:
            raise ConfigError("A layer whose parts stand side by side has no place for a memory; take PreNorm for it.")
        if layer.mlp is None:
            raise ConfigError("A layer without a channel mixer has nothing to stand side by side; take PreNorm for it.")

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        return (
            x
            + self.drop(parts["attn"](parts["attn_norm"](x), run))
            + self.drop(parts["mlp"](parts["mlp_norm"](x), run))
        )


class ParallelLayer(ParallelNormsLayer):
    """``x + mixer(norm(x)) + mlp(norm(x))``."""

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__(layer, width, positions)
        self.mlp_norm = None

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        normed = parts["attn_norm"](x)
        return x + self.drop(parts["attn"](normed, run)) + self.drop(parts["mlp"](normed, run))


class Scale(nn.Module):
    """A learned factor, one for all or one a channel; ``initial`` where no file gives it."""

    def __init__(self, initial: float, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(shape))
        self.initial = initial

    def new_values(self, name: str) -> Tensor:
        """Values of a new model."""
        return torch.full(self.weight.shape, self.initial)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


class ScaledPreNormLayer(Layer):
    """``x + scale * f(norm(x))``."""

    def __init__(self, layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__(layer, width, positions)
        assert isinstance(layer.residual, spec.ScaledPreNorm)
        if layer.cross is not None:
            raise ConfigError("A layer whose parts are scaled has no place for a memory; take PreNorm for it.")
        self.attn_scale = Scale(layer.residual.initial, width)
        self.mlp_scale: Any = None if layer.mlp is None else Scale(layer.residual.initial, width)
        self.skip = layer.residual.skip

    def forward(self, x: Tensor, run: Run) -> Tensor:
        parts: Any = self._modules
        x = x + self.skipped(parts["attn_scale"](self.drop(parts["attn"](parts["attn_norm"](x), run))), run)
        if parts.get("mlp") is None:
            return x
        return x + self.skipped(parts["mlp_scale"](self.drop(parts["mlp"](parts["mlp_norm"](x), run))), run)

    def skipped(self, x: Tensor, run: Run) -> Tensor:
        """While training, zeros for the rows that skip this part; the others make up for them."""
        if not (self.training and self.skip):
            return x
        batch = run.batch
        kept = (torch.rand(batch.rows, device=x.device) >= self.skip).to(x.dtype) / (1 - self.skip)
        if batch.lengths is not None:
            return x * kept.repeat_interleave(torch.tensor(batch.lengths, device=x.device))[:, None]
        return x * kept[:, None, None]


_ARRANGEMENTS: dict[type, type[Layer]] = {
    spec.PreNorm: PreNormLayer,
    spec.Float32PreNorm: Float32PreNormLayer,
    spec.PostNorm: PostNormLayer,
    spec.Sandwich: SandwichLayer,
    spec.NormedResidual: NormedResidualLayer,
    spec.Parallel: ParallelLayer,
    spec.ParallelNorms: ParallelNormsLayer,
    spec.FirstPreNorm: FirstPreNormLayer,
    spec.ScaledPreNorm: ScaledPreNormLayer,
}


@builds(spec.Layer)
def layer(layer: spec.Layer, width: int, positions: tuple[spec.Position, ...]) -> Layer:
    """The layer class of the spec's residual arrangement."""
    return _ARRANGEMENTS[type(layer.residual)](layer, width, positions)


@builds(spec.ConvolvedLayer)
class ConvolvedLayer(nn.Module):
    """A layer joined by a convolution over its input, along each row's real tokens."""

    def __init__(self, layer: spec.ConvolvedLayer, width: int, positions: tuple[spec.Position, ...]) -> None:
        super().__init__()
        self.layer = build(layer.layer, width, positions)
        self.conv = nn.Conv1d(width, width, layer.kernel, padding=(layer.kernel - 1) // 2, groups=layer.groups)
        self.norm = build(layer.norm, width)
        self.act = activation(layer.activation)

    def forward(self, x: Tensor, run: Run) -> Tensor:
        batch = run.batch
        full = batch.unpack(x) if batch.lengths is None else batch.left_aligned(x)
        convolved: Any = self.conv(full.transpose(1, 2)).transpose(1, 2)
        if batch.lengths is not None:
            convolved = convolved[batch.left_aligned_mask]
        normed: Tensor = self.norm(self.layer(x, run) + self.act(convolved))
        return normed
