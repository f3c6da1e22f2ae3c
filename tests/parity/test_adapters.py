"""Adapters of peft serve and learn in headway as they do in peft, and headway's in peft."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch

import headway
from headway.adapters.save import adapter_tensors
from headway.io.hub import locate
from headway.io.weights import open_weights
from headway.models.assemble import model_class
from parity.inputs import collate, make_labels, make_rows, merge
from parity.oracle import Cell, pair

# A cell, what to adapt by the hub's names and by headway's: plain layers, fused ones, transposed ones, rotary pairs.
CELLS = [
    (Cell("bert", "sequence-classification"), ["query", "value", "dense"], ["attn.q", "mlp.down", "dense"]),
    (Cell("roberta", "token-classification"), ["query", "key"], ["attn.o"]),
    (Cell("llama", "causal-lm"), ["q_proj", "v_proj", "down_proj"], "all-linear"),
    (Cell("gpt2", "causal-lm"), ["c_attn", "c_proj"], ["attn.q", "attn.v", "mlp.up"]),
    (Cell("t5", "seq2seq-lm"), ["q", "v", "wo"], ["cross.k", "attn.o"]),
    (Cell("gpt_neox", "causal-lm"), ["query_key_value", "dense"], ["attn.k"]),
    (Cell("falcon", "causal-lm"), ["query_key_value"], None),
    (Cell("phi3", "causal-lm"), ["qkv_proj", "gate_up_proj"], ["mlp.gate", "attn.v"]),
    (Cell("gptj", "causal-lm"), ["q_proj", "k_proj"], "all-linear"),
    (Cell("deepseek_v2", "causal-lm"), ["q_b_proj", "kv_a_proj_with_mqa"], ["attn.kv_a", "attn.q_b"]),
    (Cell("mixtral", "causal-lm"), ["q_proj", "o_proj"], ["attn.k", "attn.v"]),
    (Cell("bart", "question-answering"), ["k_proj", "fc1"], ["encoder.layers.0.attn.q"]),
]
KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True, "rank_pattern": {"0.*": 2}, "alpha_pattern": {".*": 11}},
}
# Every kind on plain layers and on transposed, fused ones; elsewhere they take turns.
ROWS = [
    pytest.param(cell, hub, own, kind, id=f"{cell.model_type}-{kind}")
    for at, (cell, hub, own) in enumerate(CELLS)
    for number, kind in enumerate(KINDS)
    if cell.model_type in ("bert", "gpt2") or at % 3 == number
]
every_row = pytest.mark.parametrize(("cell", "hub", "own", "kind"), ROWS)
TYPES = {
    "sequence-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "causal-lm": "CAUSAL_LM",
    "seq2seq-lm": "SEQ_2_SEQ_LM",
}


def ours(cell: Cell) -> Any:
    return model_class(cell.model_type, cell.task).from_pretrained(pair(cell).folder)


def drawn(model: torch.nn.Module) -> Any:
    """The model with every adapter weight drawn, so that each of them counts."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                centre = 2.0 if parameter.dim() == 1 else 0.0
                parameter.copy_(centre + 0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def inputs(cell: Cell) -> dict[str, Any]:
    rows = make_rows(cell)
    return collate(merge(rows, make_labels(cell, rows))) | cell.call


def peft_model(cell: Cell, hub: list[str], kind: str) -> Any:
    settings = {"r": 3, "lora_alpha": 7, "target_modules": hub, "fan_in_fan_out": cell.model_type == "gpt2"}
    config = peft.LoraConfig(**settings, task_type=TYPES.get(cell.task), **KINDS[kind])
    return drawn(peft.get_peft_model(copy.deepcopy(pair(cell).theirs), config).eval())


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert (ours - theirs).abs().max() < 2e-5 * max(1.0, float(theirs.detach().abs().max()))


def scores(output: Any) -> torch.Tensor:
    return output["start_logits" if "start_logits" in output else "logits"]


@every_row
def test_an_adapter_of_peft(cell: Cell, hub: list[str], own: Any, kind: str, tmp_path: Path) -> None:
    """It gives peft's logits and its gradients."""
    theirs = peft_model(cell, hub, kind)
    theirs.save_pretrained(tmp_path / "theirs")
    model, batch = ours(cell), inputs(cell)
    plain = scores(model(**batch))
    model.load_adapter(tmp_path / "theirs", is_trainable=True)
    output, expected = model(**batch), theirs(**batch)
    assert (scores(output) - plain).abs().max() > 1e-3
    close(scores(output), scores(expected))

    output.loss.backward()
    expected.loss.backward()
    for parameter in (*model.parameters(), *theirs.parameters()):
        assert parameter.requires_grad or parameter.grad is None, "the base model learns nothing"
        if parameter.requires_grad:
            parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    mine = adapter_tensors(model, "default")
    named = peft.get_peft_model_state_dict(theirs)
    assert mine.keys() == named.keys()
    for name, gradient in named.items():
        assert (mine[name] - gradient).abs().max() < 1e-4 * max(1.0, float(gradient.abs().max())), name


@every_row
def test_it_is_written_as_it_was_read_and_merged_it_is_the_same(
    cell: Cell, hub: list[str], own: Any, kind: str, tmp_path: Path
) -> None:
    peft_model(cell, hub, kind).save_pretrained(tmp_path / "theirs")
    model, batch = ours(cell), inputs(cell)
    model.load_adapter(tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    read, written = (
        open_weights(locate(tmp_path / side), name="adapter_model.safetensors") for side in ("theirs", "ours")
    )
    assert {*read} == {*written}
    assert all(torch.equal(read[name], written[name]) for name in read)
    texts = [json.loads((tmp_path / side / "adapter_config.json").read_text()) for side in ("theirs", "ours")]
    assert texts[0] == texts[1]

    model, batch = model.double(), {name: x.double() if x.is_floating_point() else x for name, x in batch.items()}
    before = scores(model(**batch))
    assert (scores(headway.merge_and_unload(model)(**batch)) - before).abs().max() < 1e-9


@every_row
def test_an_adapter_of_headway(cell: Cell, hub: list[str], own: Any, kind: str, tmp_path: Path) -> None:
    """peft reads what headway wrote, by whatever names its layers were chosen."""
    model, batch = ours(cell), inputs(cell)
    config = headway.LoraConfig(r=3, lora_alpha=7, target_modules=own, task_type=TYPES.get(cell.task), **KINDS[kind])
    model.add_adapter(config)
    drawn(model)
    headway.save_adapter(model, tmp_path)
    theirs = peft.PeftModel.from_pretrained(copy.deepcopy(pair(cell).theirs), tmp_path).eval()
    close(scores(model(**batch)), scores(theirs(**batch)))
