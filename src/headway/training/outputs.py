"""What a model returned, in whatever form: its loss, and its predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# Fields of outputs that are no predictions.
_NO_PREDICTIONS = ("loss", "past_key_values", "encoder_last_hidden_state", "aux_loss")


def loss_of(outputs: Any) -> Any:
    """The loss that a model returned, by name or in the first place; None where there is none."""
    if isinstance(outputs, Mapping):
        return outputs.get("loss")
    if isinstance(outputs, tuple):
        return outputs[0] if outputs and outputs[0].dim() == 0 else None
    return getattr(outputs, "loss", None)


def predictions_of(outputs: Any, ignore_keys: Sequence[str] | None) -> Any:
    """What an output holds besides its loss; one tensor by itself."""
    ignored = {*_NO_PREDICTIONS, *(ignore_keys or ())}
    if isinstance(outputs, Mapping):
        found = tuple(value for name, value in outputs.items() if name not in ignored and value is not None)
    else:
        found = outputs[1:] if isinstance(outputs, tuple) and outputs[0].dim() == 0 else outputs
        found = found if isinstance(found, tuple) else (found,)
    return found[0] if len(found) == 1 else found
