"""``export_onnx``: a model as ONNX graphs in a folder, each compared with the model by onnxruntime."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from headway.auto.config import AutoConfig
from headway.errors import ExportError, InputError, MissingExtraError
from headway.io.atomic import atomic_folder, write_file
from headway.models.assemble import model_class
from headway.models.classes import named_task, saved_task
from headway.models.plan import BASE
from headway.models.pretrained import PreTrainedModel
from headway.onnx.comparing import difference
from headway.onnx.config import OnnxConfig
from headway.onnx.parts import Part, Whole
from headway.onnx.report import Graph, OnnxReport
from headway.onnx.tracing import still, write
from headway.onnx.two_stacks import DecoderPart, DecoderPartWithPast, EncoderPart
from headway.onnx.writers import DecoderWithPast
from headway.quant.convert import quantised_layers


def export_onnx(
    model: Any,
    path: str | os.PathLike[str],
    task: str | None = None,
    opset: int | None = None,
    with_past: bool = False,
    check: bool = True,
    onnx_config: OnnxConfig | None = None,
) -> OnnxReport:
    """Write a model's graphs into a folder, whole or not at all, beside its ``config.json``.

    Rows and tokens of a row may be of any number, images are of the config's size. Padding is what ``attention_mask``
    says, on either side. A mixture of experts runs every expert over the tokens that are its own.

    Args:
        model: a model, or the folder or hub id of a checkpoint.
        path: the folder. It comes to hold ``model.onnx``, or of an encoder and a decoder that write
            ``encoder_model.onnx`` and ``decoder_model.onnx``; more than 2 GB lie beside a graph in ``.onnx.data``.
        task: the head that a checkpoint is loaded with; None is that of its config.
        opset: the version of ONNX' operators; None is the config's ``default_onnx_opset``.
        with_past: of a language model, take ``past_key_values.{layer}.key`` and ``.value`` of any length, 0 too, and
            give them grown by the new tokens as ``present.{layer}...``. ``attention_mask`` then covers both, padding in
            front. An encoder gives the keys and values that its decoder takes besides.
        check: run each graph in onnxruntime at three shapes and compare it with the model.
        onnx_config: inputs and outputs of your own; the model is then one graph.

    Raises:
        InputError: arguments that do not go together.
        ConfigError: the family does not take that head.
        ExportError: the model cannot be traced, or the graph gives something else.
        MissingExtraError: onnx, onnxscript or, to compare, onnxruntime is not installed.
    """
    _require("onnx", "onnxscript", *(["onnxruntime"] if check else []))
    model = _checked(_model(model, task), check)
    config = onnx_config or OnnxConfig(model.config, getattr(model, "task", BASE))
    number = opset or config.default_onnx_opset
    with still(model):
        parts = _parts(model, config, onnx_config is not None, with_past)
        with atomic_folder(Path(path)) as draft:
            for part in parts:
                write(part, draft, number)
            found = [difference(part, draft, config.atol_for_validation) if check else None for part in parts]
            write_file(draft / "config.json", model.config.to_json_string().encode())
    graphs = [
        Graph(Path(path) / f"{part.name}.onnx", part.inputs, part.outputs, apart)
        for part, apart in zip(parts, found, strict=True)
    ]
    return OnnxReport(tuple(graphs), number)


def _require(*packages: str) -> None:
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError:
            raise MissingExtraError(f"Exporting needs {package}: pip install headway[onnx].") from None


def _model(model: Any, task: str | None) -> Any:
    """``model``, loaded with the head of ``task`` where it is a checkpoint."""
    if isinstance(model, str | os.PathLike):
        config = AutoConfig.from_pretrained(model)
        head = OnnxConfig(config, task).head if task is not None else saved_task(config)
        return model_class(config.model_type, named_task(config, head)).from_pretrained(model, config=config)
    if not isinstance(model, PreTrainedModel):
        raise InputError(f"Expected a model of headway or the folder of one, got a {type(model).__name__}.")
    own = getattr(model, "task", BASE)
    if task not in (None, own, {BASE: "default"}.get(own)):
        raise InputError(f"The model is a {type(model).__name__}, whose task is {own}; leave task={task!r} out.")
    return model


def _checked(model: Any, check: bool) -> Any:
    """``model``, if there are operators for what it is made of."""
    if quantised_layers(model):
        raise ExportError("Quantised layers have no ONNX operators here; load the model without quantize to export it.")
    if check and model.dtype == torch.bfloat16:
        raise InputError(
            "onnxruntime compares no bfloat16; load the model with dtype=torch.float32, or pass check=False."
        )
    return model


def _parts(model: Any, config: OnnxConfig, own: bool, with_past: bool) -> Sequence[Part]:
    if own and with_past:
        raise InputError("An onnx_config names the inputs itself; leave with_past out.")
    task = getattr(model, "task", None)
    if task == "seq2seq-lm" and not own:
        encoder = EncoderPart(model, with_past)
        return encoder, DecoderPartWithPast(model, encoder) if with_past else DecoderPart(model)
    if not with_past:
        return (Whole(model, config),)
    if task != "causal-lm" or not model.is_causal:
        raise InputError(
            f"{type(model).__name__} does not write from left to right, so it has no past; leave with_past out."
        )
    return (DecoderWithPast(model),)
