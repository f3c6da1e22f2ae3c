"""How far a quantised model is from the one that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import InputError
from headway.quant.convert import quantised_layers


@dataclass(frozen=True)
class QuantizationError:
    """Errors against full precision.

    Attributes:
        weights: of each quantised layer, by path: the norm of the weights' difference over that of the weights.
        output: the same of the first logits, or else of the last states; None where no inputs were given.
        divergence: mean Kullback-Leibler divergence of the two distributions, in nats; None for models without logits.
        agreement: share of positions at which the likeliest class is the same.
    """

    weights: Mapping[str, float]
    output: float | None = None
    divergence: float | None = None
    agreement: float | None = None

    def __str__(self) -> str:
        worst = sorted(self.weights, key=lambda path: -self.weights[path])[:5]
        mean = sum(self.weights.values()) / max(1, len(self.weights))
        lines = [f"{len(self.weights)} quantised layers, relative error {mean:.4f} on average, largest in"]
        lines += [f"  {path}  {self.weights[path]:.4f}" for path in worst]
        if self.output is not None:
            lines.append(f"relative error of the output  {self.output:.4f}")
        if self.divergence is not None:
            lines.append(f"divergence of distributions   {self.divergence:.2e} nats")
            lines.append(f"same likeliest class          {self.agreement:.2%}")
        return "\n".join(lines)


@torch.no_grad()
def quantization_error(
    model: nn.Module, reference: nn.Module, inputs: Mapping[str, Any] | None = None
) -> QuantizationError:
    """Compare a quantised model with one of full precision.

    Args:
        model: the quantised one.
        reference: the same model as it was before.
        inputs: what both are called with; left out, weights alone are compared.

    Raises:
        InputError: nothing in ``model`` is quantised, or ``reference`` is another network or quantised itself.
    """
    layers = quantised_layers(model)
    if not layers:
        raise InputError(f"Expected a model with quantised layers, got a {type(model).__name__} without any.")
    others, weights = dict(reference.named_modules()), {}
    for path, layer in layers.items():
        other, mine = others.get(path), layer.dequantised()
        if not isinstance(other, nn.Linear) or other.weight.shape != mine.shape:
            raise InputError(
                f"Expected reference to have a linear layer {path!r} of shape {list(mine.shape)}; pass the same "
                "model in full precision."
            )
        weights[path] = _relative(mine, other.weight.float())
    if inputs is None:
        return QuantizationError(weights)
    found = model(**inputs)
    mine, theirs = _result(found), _result(reference(**inputs))
    output = _relative(mine, theirs)
    if "logits" not in found:
        return QuantizationError(weights, output)
    one, two = theirs.log_softmax(-1), mine.log_softmax(-1)
    divergence = (one.exp() * (one - two)).sum(-1).mean().item()
    agreement = (mine.argmax(-1) == theirs.argmax(-1)).float().mean().item()
    return QuantizationError(weights, output, divergence, agreement)


def _relative(mine: Tensor, theirs: Tensor) -> float:
    return ((mine - theirs).norm() / theirs.norm().clamp(min=1e-30)).item()


def _result(output: Any) -> Tensor:
    names = (name for name in output if "logits" in name or name == "last_hidden_state")
    found: Tensor = output[next(names, next(iter(output)))]
    return found.float()
