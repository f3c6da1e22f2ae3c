"""Outputs: dictionaries, tuples and objects at once."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor

import headway
from headway import outputs
from headway.outputs import BaseModelOutput, HeadOutput, ModelOutput, SequenceClassifierOutput
from small import PAIRS, inputs_for, small_model

STATES, POOLED = torch.randn(1, 2, 3), torch.randn(1, 3)


@pytest.fixture
def output() -> BaseModelOutput:
    return BaseModelOutput(last_hidden_state=STATES, pooler_output=POOLED, hidden_states=None)


def test_three_ways_to_read(output: BaseModelOutput) -> None:
    assert output.last_hidden_state is output["last_hidden_state"] is output[0] is STATES
    assert output.pooler_output is output["pooler_output"] is output[1] is output[-1] is POOLED
    assert output[:2] == (STATES, POOLED)
    assert output[1:] == (POOLED,)
    assert output.to_tuple() == (STATES, POOLED)
    assert list(output.keys()) == list(output) == ["last_hidden_state", "pooler_output"]
    assert len(output) == 2
    assert dict(output) == {"last_hidden_state": STATES, "pooler_output": POOLED}
    assert isinstance(output, dict)
    states, pooled = output.to_tuple()
    assert (states, pooled) == (STATES, POOLED)


def test_fields_that_are_none_are_absent_as_keys_and_none_as_attributes(output: BaseModelOutput) -> None:
    assert output.hidden_states is None
    assert output.attentions is None
    assert "hidden_states" not in output
    assert output.get("hidden_states") is None
    with pytest.raises(KeyError):
        output["hidden_states"]
    with pytest.raises(IndexError):
        output[2]
    with pytest.raises(AttributeError, match="BaseModelOutput has no field 'logits'; it has last_hidden_state"):
        output.logits  # noqa: B018
    assert not hasattr(output, "logits")


def test_a_missing_key_is_a_key_error_of_that_name_with_a_hint(output: BaseModelOutput) -> None:
    with pytest.raises(KeyError) as caught:
        output["logits"]
    assert caught.value.args == ("logits",)
    assert str(caught.value) == "'logits'"
    assert "AutoModelFor" in caught.value.__notes__[0]
    with pytest.raises(KeyError) as caught:
        output["other"]
    assert not getattr(caught.value, "__notes__", None)


def test_fields_can_be_set(output: BaseModelOutput) -> None:
    output.attentions = (POOLED,)
    output["extra"] = 1
    assert output["attentions"] == (POOLED,)
    assert output.extra == output[-1] == 1


def test_a_class_of_ones_own_adds_fields() -> None:
    class Mine(SequenceClassifierOutput):
        score: Tensor | None

    made = Mine(logits=POOLED)
    assert made.score is None
    assert made.loss is None
    assert made[0] is POOLED


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_keep_class_order_and_values(output: BaseModelOutput, again: Any) -> None:
    made = again(output)
    assert type(made) is BaseModelOutput
    assert list(made) == list(output)
    assert torch.equal(made.last_hidden_state, STATES)
    assert made.attentions is None


def test_every_kind_lists_its_fields_loss_and_logits_first() -> None:
    kinds = [kind for kind in vars(outputs).values() if isinstance(kind, type) and issubclass(kind, ModelOutput)]
    assert len(kinds) > 10
    for kind in kinds:
        assert len(set(kind.fields)) == len(kind.fields)
        if issubclass(kind, HeadOutput) and "logits" in kind.fields:
            assert kind.fields[0] == "loss"
            assert kind.fields.index("logits") <= 2


def test_torch_sees_a_dictionary(output: BaseModelOutput) -> None:
    """Data collation and parallel wrappers go through the items."""
    moved = type(output)(**{name: value.double() for name, value in output.items()})
    assert moved.last_hidden_state.dtype == torch.float64


# --- what models return -------------------------------------------------------------------------------------------


def test_the_keys_of_a_bare_encoder_and_their_order() -> None:
    model = small_model("bert")
    outputs = model(**inputs_for(model))
    assert list(outputs.keys()) == ["last_hidden_state", "pooler_output"]
    outputs = model(**inputs_for(model), output_attentions=True, output_hidden_states=True)
    assert list(outputs.keys()) == ["last_hidden_state", "pooler_output", "hidden_states", "attentions"]


def test_the_keys_of_heads_and_their_order() -> None:
    model = small_model("bert", "sequence-classification")
    inputs = inputs_for(model)
    assert list(model(**inputs)) == ["logits"]
    full = model(**inputs, labels=torch.tensor([0, 1]), output_attentions=True, output_hidden_states=True)
    assert list(full) == ["loss", "logits", "hidden_states", "attentions"]
    assert full[0] is full.loss
    model = small_model("gpt2", "causal-lm")
    assert list(model(**inputs_for(model), use_cache=True)) == ["logits", "past_key_values"]
    assert list(model(**inputs_for(model), use_cache=False)) == ["logits"]


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_every_models_tuple_is_its_output_in_order(model_type: str, task: str) -> None:
    model = small_model(model_type, task)
    inputs = {**inputs_for(model), "output_hidden_states": True}
    with torch.no_grad():
        output, values = model(**inputs), model(**inputs, return_dict=False)
    assert isinstance(output, ModelOutput)
    assert isinstance(values, tuple)
    assert len(values) == len(output)
    assert torch.equal(values[0], output[0])
    assert all(value is not None for value in output.values())
    assert set(output) <= set(type(output).fields) | {
        "prediction_logits",
        "seq_relationship_logits",
        "sop_logits",
        "logits",
    }


def test_the_config_can_ask_for_tuples_and_records() -> None:
    config = headway.BertConfig(**{**small_model("bert").config.to_dict(), "return_dict": False})
    config.output_hidden_states = True
    config.output_attentions = True
    model = headway.BertModel(config).eval()
    values = model(input_ids=torch.tensor([[5, 6]]))
    assert isinstance(values, tuple)
    assert [len(value) for value in values[2:]] == [3, 2]
