"""Views of hidden states: norms, angles, and the logit lens, against the same computed by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_views import TEXT, model, tokenizer

from headway import HiddenStatesView, InputError, hidden_states_view
from small import one_sentence


def data_of(view: HiddenStatesView) -> Any:
    found = re.search(r'<script type="application/json">(.*?)</script>', view._repr_html_())
    assert found is not None
    return json.loads(found[1])


def test_norms_and_angles_are_those_of_the_states() -> None:
    net, tokens = model("bert"), tokenizer()
    view = hidden_states_view(net, tokens, TEXT)
    with torch.no_grad():
        states = torch.stack(net(**tokens(TEXT, return_tensors="pt"), output_hidden_states=True).hidden_states)[:, 0]
    cosine = torch.nn.functional.cosine_similarity
    np.testing.assert_allclose(view.norms, states.norm(dim=-1), rtol=1e-5)
    np.testing.assert_allclose(view.change, cosine(states[1:], states[:-1], dim=-1), atol=1e-5)
    pairs = cosine(states[:, :, None], states[:, None], dim=-1)
    np.testing.assert_allclose(view.similarity, pairs, atol=1e-5)
    assert view.lens is None
    data = data_of(view)
    assert data["layers"] == ["embeddings", "0", "1"]
    np.testing.assert_allclose(data["norms"], view.norms, rtol=5e-3)
    assert data["lens"] is None


@pytest.mark.parametrize(
    ("family", "task", "layers"),
    [
        ("gpt2", "causal-lm", "n_layer"),
        ("llama", "causal-lm", "num_hidden_layers"),
        ("gemma2", "causal-lm", "num_hidden_layers"),
        ("bert", "masked-lm", "num_hidden_layers"),
        ("modernbert", "masked-lm", "num_hidden_layers"),
    ],
)
def test_the_lens_shows_what_the_model_would_say_without_its_later_layers(family: str, task: str, layers: str) -> None:
    whole, tokens = model(family, task), tokenizer()
    lens = hidden_states_view(whole, tokens, TEXT).lens
    assert lens is not None
    for count in (1, 2):
        short = model(family, task, **{layers: count})
        short.load_state_dict(whole.state_dict(), strict=False)
        with torch.no_grad():
            best = short(**tokens(TEXT, return_tensors="pt")).logits[0].softmax(-1).topk(5)
        np.testing.assert_allclose(lens.probabilities[count], best.values, rtol=1e-4)
        assert lens.tokens[count] == [tokens.convert_ids_to_tokens(ids) for ids in best.indices]


def test_an_encoder_decoder_shows_either_part() -> None:
    net, tokens = model("t5", "seq2seq-lm"), tokenizer()
    target = tokens("Berlin is large", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = net(**tokens(TEXT, return_tensors="pt"), labels=target, output_hidden_states=True)
    decoder = hidden_states_view(net, tokens, TEXT, target="Berlin is large")
    encoder = hidden_states_view(net, tokens, TEXT, target="Berlin is large", part="encoder")
    assert decoder.lens is not None
    np.testing.assert_allclose(decoder.lens.probabilities[-1], out.logits[0].softmax(-1).topk(5).values, rtol=1e-4)
    np.testing.assert_allclose(encoder.norms, torch.stack(out.encoder_hidden_states)[:, 0].norm(dim=-1), rtol=1e-5)
    assert encoder.lens is None
    assert len(encoder.tokens) == encoder.norms.shape[1]


@pytest.mark.parametrize("ending", ["html", "svg", "png"])
def test_every_format_is_written(ending: str, tmp_path: Path) -> None:
    if ending == "png":
        pytest.importorskip("matplotlib")
    view = hidden_states_view(model("gpt2", "causal-lm"), tokenizer(), TEXT)
    view.save(tmp_path / f"view.{ending}")
    content = (tmp_path / f"view.{ending}").read_bytes()
    assert content.startswith({"html": b"<!doctype html>", "svg": b"<svg", "png": b"\x89PNG"}[ending])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HiddenStatesView((), ["a"]), "output_hidden_states=True"),
        (lambda: HiddenStatesView([torch.zeros(1, 3, 2)], ["a"]), "3 states in a layer, but 1 tokens"),
        (lambda: hidden_states_view(model("bert"), tokenizer(), TEXT, part="encoder"), "has one stack"),
        (
            lambda: hidden_states_view(model("t5", "seq2seq-lm"), tokenizer(), TEXT, target="x", part="both"),
            "'encoder' or 'decoder'",
        ),
    ],
)
def test_what_cannot_be_shown_is_said_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert message in one_sentence(error.value)
