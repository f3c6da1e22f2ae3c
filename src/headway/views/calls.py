"""One text through a model, with what the model is asked to record on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import torch

from headway.errors import InputError


@dataclass(frozen=True)
class Call:
    """What came out, and the tokens that went in; ``target`` are those that a decoder beside an encoder read."""

    outputs: Any
    tokens: list[str | None]
    target: list[str | None] | None
    title: str


def call(model: Any, tokenizer: Any, text: str, text_pair: str | None, target: str | None, **wants: bool) -> Call:
    """Run ``model`` on one text, without dropout and without gradients.

    Args:
        target: what the decoder of an encoder-decoder is to write; left out, what it writes itself.
        wants: ``output_attentions`` or ``output_hidden_states``.

    Raises:
        InputError: a target for a model that takes none, or none for one that cannot write.
    """
    both = bool(getattr(model.config, "is_encoder_decoder", False))
    if target is not None and not both:
        raise InputError(f"target is for models with an encoder and a decoder, which {type(model).__name__} is not.")
    with _still(model):
        encoded = tokenizer(text, text_pair, return_tensors="pt")
        inputs = {name: value.to(model.device) for name, value in encoded.items()}
        written = _decoder_ids(model, tokenizer, inputs, target) if both else None
        if written is not None:
            inputs["decoder_input_ids"] = written
        outputs = model(**inputs, **wants)
    return Call(
        outputs,
        tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]),
        None if written is None else tokenizer.convert_ids_to_tokens(written[0]),
        PurePath(model.config.name_or_path or type(model).__name__).name,
    )


def own(values: Any, row: int) -> torch.Tensor:
    """Row ``row`` of a recorded tensor, in float32 on the CPU."""
    if not isinstance(values, torch.Tensor):
        values = torch.as_tensor(values)
    if not -len(values) <= row < len(values):
        raise InputError(f"There is no row {row}: the batch has {len(values)}.")
    found: torch.Tensor = values[row].detach().float().cpu()
    return found


def _decoder_ids(model: Any, tokenizer: Any, inputs: Mapping[str, Any], target: str | None) -> torch.Tensor:
    """What the decoder reads, ``[1, steps]``."""
    if target is None:
        if not model.can_generate():
            raise InputError(f"{type(model).__name__} does not write, so pass target=, what its decoder is to read.")
        written: torch.Tensor = model.generate(**inputs, do_sample=False, num_beams=1)
        return written
    labels = tokenizer(text_target=target, return_tensors="pt")["input_ids"].to(model.device)
    read: torch.Tensor = model.prepare_decoder_input_ids_from_labels(labels)
    return read


@contextmanager
def _still(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
