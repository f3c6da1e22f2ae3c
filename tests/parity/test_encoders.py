"""The encoder of a model that has a decoder too, run by itself."""

from __future__ import annotations

import pytest
import torch

from headway.models.encoder_decoder import EncoderDecoderModel
from parity.compare import assert_close
from parity.inputs import collate, make_rows
from parity.oracle import Cell, pair

FAMILIES = ("t5", "bart", "marian", "pegasus", "mbart")


@pytest.mark.parametrize("model_type", FAMILIES)
@torch.no_grad()
def test_an_encoder_gives_what_the_oracles_does(model_type: str) -> None:
    cell = Cell(model_type, "seq2seq-lm")
    both = pair(cell)
    assert isinstance(both.ours, EncoderDecoderModel)
    inputs = collate(make_rows(cell, ragged=True), "right")
    asked = {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    ours = both.ours.get_encoder()(**asked, output_hidden_states=True)
    theirs = both.theirs.get_encoder()(**asked, output_hidden_states=True)
    real = asked["attention_mask"].bool()
    assert_close(ours.last_hidden_state[real], theirs.last_hidden_state[real])
    assert len(ours.hidden_states) == len(theirs.hidden_states)
    for mine, its in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        assert_close(mine[real], its[real])
    written = both.ours.generate(**asked, max_new_tokens=5)
    again = both.ours.generate(encoder_outputs=ours, attention_mask=asked["attention_mask"], max_new_tokens=5)
    assert torch.equal(written, again)


def test_an_encoder_is_frozen_with_its_table() -> None:
    model = pair(Cell("t5", "seq2seq-lm")).ours
    encoder = model.get_encoder()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = {names[id(parameter)] for parameter in encoder.parameters()}
    assert held == {name for name in names.values() if ".encoder." in name or name == "backbone.tokens.weight"}
