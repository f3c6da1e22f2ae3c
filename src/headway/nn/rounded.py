"""Products by whole numbers beside those of one quantised layer: of several side by side, and of a table of floats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from headway.nn.linear import Siblings
from headway.nn.quantised import QuantisedLinear


class QuantisedSiblings(Siblings):
    """Quantised layers of one kind whose numbers are brought into the kernel's order side by side.

    Their input is rounded once, and what a call of the kernel costs besides is paid once.
    """

    with_gradients: ClassVar[bool] = True

    def __init__(self, layers: Mapping[str, QuantisedLinear]) -> None:
        super().__init__(layers)
        self._whole: QuantisedLinear | None = None
        self._stands = True

    def __reduce__(self) -> Any:
        """A copy joins its own layers."""
        return (QuantisedSiblings, (self.layers,))

    def stands(self, owner: nn.Module) -> bool:
        if self._stands:
            modules: Any = owner._modules
            for name, layer in self.layers.items():
                if (
                    modules.get(name) is not layer
                    or layer._forward_hooks
                    or layer._forward_pre_hooks
                    or not layer.is_part_of(self._whole)
                ):
                    # For good: to join anew whenever a layer is run by itself would cost more than it saves.
                    self._stands, self._whole = False, None
                    break
        return self._stands

    def product(self, x: Tensor) -> Tensor | None:
        if x.device.type != "cpu":
            return None
        layers = list(self.layers.values())
        if self._whole is None:
            self._whole = type(layers[0]).joined(layers)
        biases = [layer.bias for layer in layers]
        return self._whole.with_bias(x, None if biases[0] is None else torch.cat(biases))
