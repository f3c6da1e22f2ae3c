"""Hidden states and attention weights are the oracle's, in number and value."""

import pytest
import torch

from parity.compare import assert_close, row_of
from parity.inputs import collate, make_rows
from parity.matrix import every_cell
from parity.oracle import Cell, pair

SIDES = pytest.mark.parametrize("side", ["right", "left"])
ASKED = {"output_hidden_states": True, "output_attentions": True}


@every_cell()
@torch.no_grad()
def test_recorded(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell)) | cell.call
    ours, theirs = both.ours(**inputs, **ASKED), both.oracle(**inputs, **ASKED)
    assert_close(ours, theirs)
    if cell.compares:
        ours = dict(ours.text_model_output | ours.vision_model_output)
    kinds = [name for name in ours if name.endswith(("hidden_states", "attentions"))]
    assert kinds
    assert kinds == [name for name in ours if isinstance(ours[name], tuple)] or "router_logits" in ours


@SIDES
@every_cell(lambda cell: cell.reads)
@torch.no_grad()
def test_recorded_of_a_padded_batch(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    batch = collate(rows, side)
    ours = both.ours(**batch, **ASKED)
    for number, row in enumerate(rows):
        alone = collate([row])
        assert_close(row_of(ours, number, batch), row_of(both.oracle(**alone, **ASKED), 0, alone), f"row {number}")


@SIDES
@every_cell(lambda cell: cell.has_encoder_and_decoder and cell.task in ("base", "seq2seq-lm"))
@torch.no_grad()
def test_recorded_where_the_encoder_alone_is_padded(cell: Cell, side: str) -> None:
    both, rows = pair(cell), make_rows(cell, ragged=True)
    rows = [{**row, "decoder_input_ids": row["decoder_input_ids"][:5]} for row in rows]
    batch = collate(rows, side)
    del batch["decoder_attention_mask"]
    ours = both.ours(**batch, **ASKED)
    for number, row in enumerate(rows):
        alone = collate([row])
        assert_close(row_of(ours, number, batch), row_of(both.oracle(**alone, **ASKED), 0, alone), f"row {number}")


@SIDES
@every_cell(lambda cell: cell.task == "causal-lm" and cell.variant in ("plain", "window") and cell.attends)
@torch.no_grad()
def test_weights_of_a_chunk_after_a_padded_prompt(cell: Cell, side: str) -> None:
    """Each row's weights run over all its tokens that the layer keeps, and end in the last column."""
    both, rows = pair(cell), make_rows(cell, ragged=True)
    for row in rows:
        row.pop("token_type_ids", None)
    more = [{"input_ids": ids} for ids in torch.arange(5, 11).split((2, 1, 3))]
    chunk, cache = collate(more, side), both.ours(**collate(rows, side), use_cache=True).past_key_values
    ours = both.ours(**chunk, past_key_values=cache, output_attentions=True).attentions
    for number, (row, tail) in enumerate(zip(rows, more, strict=True)):
        whole = torch.cat([row["input_ids"], tail["input_ids"]])[None]
        theirs = both.oracle(input_ids=whole, output_attentions=True).attentions
        keep, count = chunk["attention_mask"][number].bool(), len(tail["input_ids"])
        for layer, expected in zip(ours, theirs, strict=True):
            found = layer[number : number + 1, :, keep]
            shown = min(whole.shape[1], found.shape[-1])
            assert_close(found[..., -shown:], expected[:, :, -count:, -shown:])
            assert not found[..., :-shown].any()
            assert not expected[:, :, -count:, :-shown].any()


@every_cell(lambda cell: cell.task == "causal-lm" and cell.variant == "plain" and not cell.attends)
@torch.no_grad()
def test_weights_where_nothing_attends(cell: Cell) -> None:
    """They are left out of the output, as of that of transformers."""
    both, inputs = pair(cell), collate(make_rows(cell))
    assert "attentions" not in both.ours(**inputs, output_attentions=True)
    assert "attentions" not in both.oracle(**inputs, output_attentions=True)
    written = both.ours.generate(**inputs, output_attentions=True, return_dict_in_generate=True, max_new_tokens=2)
    assert "attentions" not in written


@every_cell(lambda cell: cell.task == "base")
@torch.no_grad()
def test_recording_changes_nothing(cell: Cell) -> None:
    model, inputs = pair(cell).ours, collate(make_rows(cell)) | cell.call
    assert_close(model(**inputs, **ASKED)[0], model(**inputs)[0])
    assert not {name for name in model(**inputs) if "attentions" in name or name.endswith("hidden_states")}
