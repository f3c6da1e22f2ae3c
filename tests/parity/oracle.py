"""The oracle: tiny random models of transformers, and the same checkpoints loaded by headway.

Nothing here names a family but the table of variants: a family that is registered is tested by its being there.
"""

from __future__ import annotations

import inspect
import os
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from transformers.models.auto import modeling_auto

from headway.models.assemble import model_class
from headway.models.plan import BASE, tasks_of
from headway.registry import families

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

MAPPINGS = {
    BASE: modeling_auto.MODEL_MAPPING_NAMES,
    "sequence-classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "token-classification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "question-answering": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "masked-lm": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "causal-lm": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "seq2seq-lm": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "multiple-choice": modeling_auto.MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
    "next-sentence-prediction": modeling_auto.MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES,
    "pretraining": modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    "image-classification": modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
}

# Small values for the fields that configs have, whatever the family.
TINY: dict[str, Any] = {
    "vocab_size": 99,
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers"), 3),
    **dict.fromkeys(("decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    "num_key_value_heads": 2,
    "d_kv": 8,
    "embedding_size": 16,
    "type_vocab_size": 3,
    "num_local_experts": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "image_size": 12,
    "patch_size": 4,
    **dict.fromkeys(("bos_token_id", "decoder_start_token_id"), 3),
    "pad_token_id": 1,
    "eos_token_id": 2,
    "id2label": {0: "A", 1: "B", 2: "C"},
}


@dataclass(frozen=True)
class Cell:
    """A family, a task, and a variant of the config."""

    model_type: str
    task: str
    variant: str = "plain"

    def __str__(self) -> str:
        return f"{self.model_type}-{self.task}-{self.variant}"


def tiny(model_type: str, **overrides: Any) -> dict[str, Any]:
    """Field values of a tiny config of ``model_type``, without dropout."""
    fields = families()[model_type].config._fields
    values = {name: TINY[name] for name in fields if name in TINY and fields[name] is not None}
    values |= {name: 0.0 for name in fields if "drop" in name}
    always = ("id2label", "num_key_value_heads", "pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
    values |= {name: TINY[name] for name in always if name in fields}
    values["label2id"] = {label: index for index, label in values["id2label"].items()}
    return values | overrides


@cache
def pair(cell: Cell, overrides: tuple[tuple[str, Any], ...] = ()) -> Pair:
    """The oracle's model of a cell and headway's, loaded from what the oracle saved."""
    return Pair(cell, dict(overrides))


class Pair:
    """One checkpoint in both libraries, in evaluation mode and float32."""

    def __init__(self, cell: Cell, overrides: dict[str, Any]) -> None:
        self.cell = cell
        self.values = tiny(cell.model_type, **overrides)
        if cell.task == "question-answering":
            self.values |= {"id2label": {0: "A", 1: "B"}, "label2id": {"A": 0, "B": 1}}
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(cell.model_type, **self.values)
        config._attn_implementation = "eager"
        self.theirs: Any = getattr(transformers, oracle_class(cell))(config).eval()
        draw_anew(self.theirs)
        self.folder = Path(tempfile.mkdtemp(prefix="headway-"))
        self.theirs.save_pretrained(self.folder)
        self.ours: Any = model_class(cell.model_type, cell.task).from_pretrained(self.folder)

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        """A batch without padding."""
        return make_inputs(self.cell, self.values)


def oracle_class(cell: Cell) -> str:
    """The class name of transformers for a cell."""
    name = MAPPINGS[cell.task][cell.model_type]
    return name if isinstance(name, str) else name[0]


def draw_anew(model: torch.nn.Module) -> None:
    """Draw every parameter: defaults of one and zero hide bugs."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict(keep_vars=True).items():
            if tensor.is_floating_point():
                centre = 1.0 if tensor.dim() == 1 and "bias" not in name else 0.0
                tensor.copy_(centre + 0.2 * torch.randn(tensor.shape, generator=generator))


def make_inputs(cell: Cell, values: dict[str, Any], rows: int = 3, width: int = 11) -> dict[str, torch.Tensor]:
    """Inputs of a cell without padding; the last token of each row is the end-of-sequence token."""
    generator = torch.Generator().manual_seed(2)

    def ids(*shape: int) -> torch.Tensor:
        return torch.randint(5, values["vocab_size"], shape, generator=generator)

    if cell.model_type in MAPPINGS["image-classification"]:
        return {"pixel_values": torch.randn(rows, 3, values["image_size"], values["image_size"], generator=generator)}
    shape = (rows, 2, width) if cell.task == "multiple-choice" else (rows, width)
    inputs = {"input_ids": ids(*shape)}
    inputs["input_ids"][..., -1] = 2
    if values.get("type_vocab_size"):
        inputs["token_type_ids"] = torch.randint(0, values["type_vocab_size"], shape, generator=generator)
    if "decoder" in kind(cell) and (cell.task == BASE or cell.task == "seq2seq-lm"):
        inputs["decoder_input_ids"] = ids(rows, width - 4)
    return inputs


def make_labels(cell: Cell, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Labels for a cell's inputs; -100 at every third token."""
    generator = torch.Generator().manual_seed(3)
    given = inputs.get("decoder_input_ids", inputs.get("input_ids", inputs.get("pixel_values")))
    rows, width = given.shape[0], given.shape[-1]

    def numbers(below: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, below, shape, generator=generator)

    match cell.task:
        case "sequence-classification" | "image-classification":
            return {"labels": numbers(3, rows)}
        case "multiple-choice" | "next-sentence-prediction":
            return {"labels": numbers(2, rows)}
        case "question-answering":
            return {"start_positions": numbers(width, rows), "end_positions": numbers(width, rows)}
        case "token-classification":
            labels = numbers(3, rows, width)
        case "pretraining" if oracle_class(cell).startswith("Electra"):
            return {"labels": numbers(2, rows, width)}
        case _:
            labels = numbers(99, rows, width)
    labels[:, ::3] = -100
    extra = {}
    for name in ("next_sentence_label", "sentence_order_label"):
        if name in inspect.signature(getattr(transformers, oracle_class(cell)).forward).parameters:
            extra[name] = numbers(2, rows)
    return {"labels": labels, **extra}


def kind(cell: Cell) -> tuple[str, ...]:
    """The stacks that the cell's model runs."""
    model = model_class(cell.model_type, cell.task)
    return ("encoder", "decoder") if "decoder_input_ids" in model.forward.__annotations__ else ("one",)


def cells() -> list[Cell]:
    """Every cell that both libraries have."""
    found = []
    for name, family in families().items():
        for task in (BASE, *tasks_of(family)):
            if name in MAPPINGS[task] and not (task == "causal-lm" and "is_decoder" in family.config._fields):
                found.append(Cell(name, task))
    return found


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference relative to the oracle's largest value."""
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-6))
