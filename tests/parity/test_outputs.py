"""Outputs and losses are the oracle's, for every family and head that both have."""

import inspect
from typing import Any

import pytest
import torch
import transformers

from headway.models.assemble import model_class
from headway.spec import EncoderDecoder, Rounded
from parity.compare import assert_close
from parity.inputs import collate, make_labels, make_rows, merge
from parity.matrix import every_cell
from parity.oracle import Cell, Pair, oracle_class, pair

# Families whose first position transformers calls by its row in the table, which comes after the padding id's.
# headway counts the positions that callers give from 0, whatever the family.
COUNTED_FROM_PADDING = ("roberta", "xlm-roberta", "camembert", "mpnet", "esm")


def first_position(both: Pair) -> int:
    """What transformers calls position 0."""
    return embed_of(both.ours).positions.offset if both.cell.model_type in COUNTED_FROM_PADDING else 0


def takes_positions(cell: Cell) -> bool:
    """Do both models take ``position_ids``?"""
    kinds = (getattr(transformers, oracle_class(cell)), model_class(cell.model_type, cell.task))
    return all("position_ids" in inspect.signature(inspect.unwrap(kind.forward)).parameters for kind in kinds)


def embed_of(model: Any) -> Any:
    """The spec of the embedding that the model's inputs go through first."""
    backbone = model.plan.backbone
    return (backbone.encoder if isinstance(backbone, EncoderDecoder) else backbone.stack).embed


@every_cell()
@torch.no_grad()
def test_output_and_loss(cell: Cell) -> None:
    both, rows = pair(cell), make_rows(cell)
    inputs = collate(merge(rows, make_labels(cell, rows))) | cell.call
    ours, theirs = both.ours(**inputs), both.oracle(**inputs)
    assert not cell.has_loss or ours.loss is not None
    assert_close(ours, theirs)


@every_cell(lambda cell: cell.variant == "plain")
@torch.no_grad()
def test_without_labels_and_as_a_tuple(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    ours, theirs = both.ours(**inputs), both.oracle(**inputs)
    assert_close(ours, theirs)
    assert "loss" not in ours
    values = both.ours(**inputs, return_dict=False)
    assert isinstance(values, tuple)
    assert torch.equal(values[0], ours[0])


# Families whose positions and norm of embeddings transformers leaves out where it is given vectors.
VECTORS_AS_THEY_ARE = ("esm",)


@pytest.mark.parametrize("side", ["left", "right", None])
@every_cell(lambda cell: cell.task == "base" and cell.reads)
@torch.no_grad()
def test_vectors_in_place_of_ids(cell: Cell, side: str | None) -> None:
    both, inputs = pair(cell), collate(make_rows(cell, ragged=side is not None), side)
    by_ids = both.ours(**inputs)
    inputs["inputs_embeds"] = both.ours.get_input_embeddings()(inputs.pop("input_ids"))
    ours = both.ours(**inputs)
    # What is read at a token's id cannot be told by its vector.
    assert_close(ours, {name: value for name, value in by_ids.items() if name in ours or name != "pooler_output"})
    takes_vectors = "inputs_embeds" in inspect.signature(inspect.unwrap(type(both.theirs).forward)).parameters
    if side is None and takes_vectors and cell.model_type not in VECTORS_AS_THEY_ARE:
        # Where a family scales its token vectors, transformers wants them scaled.
        scale = embed_of(both.ours).scale
        inputs["inputs_embeds"] = inputs["inputs_embeds"] * (scale.value if isinstance(scale, Rounded) else scale)
        assert_close(by_ids, both.oracle(**inputs))


@every_cell(lambda cell: cell.task == "base" and cell.variant == "plain" and takes_positions(cell))
@torch.no_grad()
def test_given_positions(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    positions = torch.arange(cell.setting.width) + torch.tensor([[0], [3], [8]])
    theirs = both.oracle(**inputs, position_ids=positions + first_position(both))
    assert_close(both.ours(**inputs, position_ids=positions), theirs)


# Families whose embeddings transformers multiplies by the mask, or whose positions it counts from it, so that it must
# be one number a token, or that have no scores.
ONE_A_TOKEN = ("deberta", "deberta-v2", "esm", "bloom", "mamba2")
# Families whose own causal mask transformers adds to the one given.
CAUSAL_BESIDES = ("gpt_neo",)


def takes_masks(cell: Cell) -> bool:
    """Does the oracle follow a mask that says for each query which keys it sees?"""
    return cell.reads and not (cell.has_encoder_and_decoder or cell.model_type in (*ONE_A_TOKEN, *CAUSAL_BESIDES))


@every_cell(lambda cell: cell.task == "base" and cell.variant == "plain" and takes_masks(cell))
@torch.no_grad()
def test_given_masks(cell: Cell) -> None:
    """A mask for each query is followed as it is, true or 0 where the query sees the key."""
    both, inputs = pair(cell), collate(make_rows(cell))
    width = cell.setting.width
    seen = torch.rand(3, width, width, generator=torch.Generator().manual_seed(5)) < 0.5
    seen = (seen | torch.eye(width, dtype=torch.bool))[:, None]
    additive = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    # Some families would count positions from the mask.
    given = {"position_ids": torch.arange(width)[None] + first_position(both)} if takes_positions(cell) else {}
    theirs = both.oracle(**inputs, **given, attention_mask=additive)
    for mask in (seen, seen[:, 0], seen.long(), additive):
        assert_close(both.ours(**inputs, attention_mask=mask), theirs)
