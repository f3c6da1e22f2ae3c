"""Classes by the field's names: made once from a family and a head, picklable, and nearest for names that are none."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
import torch

import headway
from headway import BertConfig, PreTrainedModel
from headway.auto import model as auto
from headway.errors import ConfigError, InputError
from headway.heads import HEADS
from headway.models.assemble import model_class
from headway.models.classes import class_names, find_class
from headway.models.plan import BASE, tasks_of
from headway.registry import families
from small import PAIRS, READERS, inputs_for, one_sentence, same_state, small_config, small_model

AUTO = [
    kind for kind in vars(auto).values() if isinstance(kind, type) and hasattr(kind, "task") and "Auto" in kind.__name__
]
AUTO = [kind for kind in AUTO if not kind.__name__.startswith("_")]


def test_a_class_is_made_once() -> None:
    kind = headway.BertForSequenceClassification
    assert kind is headway.BertForSequenceClassification
    assert kind is model_class("bert", "sequence-classification")
    assert type(headway.AutoModelForSequenceClassification.from_config(small_config("bert"))) is kind


def test_what_a_class_says_of_itself() -> None:
    kind = headway.BertForSequenceClassification
    assert (kind.__name__, kind.__qualname__, kind.__module__) == (
        ("BertForSequenceClassification",) * 2 + ("headway",)
    )
    assert issubclass(kind, PreTrainedModel)
    assert kind.config_class is BertConfig
    assert kind.base_model_prefix == "bert"
    assert "A label, a score or several labels" in kind.__doc__ or "labels" in kind.__doc__
    assert "Bert" in kind.__doc__
    assert next(iter(inspect.signature(kind).parameters)) == "config"
    assert "input_ids" in inspect.signature(kind.forward).parameters
    assert "attention_mask" in inspect.signature(kind.forward).parameters
    assert "Args:" in (kind.forward.__doc__ or "")


@pytest.mark.parametrize("name", class_names())
def test_every_class_by_name(name: str) -> None:
    kind = getattr(headway, name)
    assert kind.__name__ == name
    assert kind.__doc__
    assert kind.__module__ == "headway"
    assert pickle.loads(pickle.dumps(kind)) is kind
    model_type, task = class_names()[name]
    assert find_class(name) == (model_type, task)
    assert kind is model_class(model_type, task)


def test_the_names_of_the_field() -> None:
    """Class names that checkpoints carry in ``architectures``."""
    expected = [
        "BertModel",
        "BertForMaskedLM",
        "BertForPreTraining",
        "BertForNextSentencePrediction",
        "BertForMultipleChoice",
        "BertForQuestionAnswering",
        "BertForTokenClassification",
        "BertForSequenceClassification",
        "BertLMHeadModel",
        "RobertaForMaskedLM",
        "DistilBertForSequenceClassification",
        "AlbertForPreTraining",
        "ElectraForPreTraining",
        "DebertaV2ForTokenClassification",
        "GPT2Model",
        "GPT2LMHeadModel",
        "GPT2ForSequenceClassification",
        "LlamaForCausalLM",
        "LlamaForTokenClassification",
        "MistralForCausalLM",
        "MixtralForCausalLM",
        "T5ForConditionalGeneration",
        "T5Model",
        "BartForConditionalGeneration",
        "BartForCausalLM",
        "BartForSequenceClassification",
        "ViTForImageClassification",
        "ViTModel",
    ]
    assert not [name for name in expected if not hasattr(headway, name)]


def test_every_text_family_takes_every_text_head() -> None:
    heads = {"sequence-classification", "token-classification", "question-answering", "multiple-choice"}
    for model_type in READERS:
        assert heads <= set(tasks_of(families()[model_type])), model_type


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("BertForSequenceClasification", "BertForSequenceClassification"),
        ("BertForTokenClassifier", "BertForTokenClassification"),
        ("AutoModelForMaskLM", "AutoModelForMaskedLM"),
        ("AutoTokeniser", "AutoTokenizer"),
        ("BartConfg", "BartConfig"),
        ("GPT2ForCausalLM", "GPT2LMHeadModel"),
    ],
)
def test_an_unknown_class_offers_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(headway, asked)
    text = one_sentence(caught.value)
    assert asked in text
    if asked != "GPT2ForCausalLM":
        assert f"Did you mean '{nearest}'?" in text
    with pytest.raises(ImportError):
        exec(f"from headway import {asked}")


def test_names_that_are_no_classes() -> None:
    with pytest.raises(AttributeError, match="module 'headway' has no attribute 'nothing'"):
        headway.nothing  # noqa: B018
    assert not hasattr(headway, "_Private")


def test_every_public_name_is_there() -> None:
    for name in headway.__all__:
        assert getattr(headway, name) is not None, name
    assert set(headway.__all__) <= set(dir(headway))
    assert headway.PretrainedModel is headway.PreTrainedModel


# --- instances ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_models_survive_pickles_and_deep_copies(model_type: str, task: str) -> None:
    model = small_model(model_type, task)
    inputs = inputs_for(model)
    with torch.no_grad():
        expected = model(**inputs)[0]
        for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            assert type(again) is type(model)
            assert again.config == model.config
            assert same_state(again, model)
            assert torch.equal(again(**inputs)[0], expected)
            assert sum(p.numel() for p in again.parameters()) == model.num_parameters(), "ties are kept"


def test_state_dict_speaks_canonical_names_for_every_family() -> None:
    for model_type in ("bert", "roberta", "electra", "distilbert"):
        names = set(small_model(model_type, "token-classification").state_dict())
        assert {"backbone.embed.tokens.weight", "backbone.layers.1.attn.q.weight", "head.out.weight"} <= names
    model, other = small_model("bert", "masked-lm"), small_model("bert", "masked-lm")
    torch.nn.init.normal_(other.backbone.layers[0].attn.q.weight)
    assert not other.load_state_dict(model.state_dict()).missing_keys
    assert same_state(model, other)


def test_parts_that_users_ask_for() -> None:
    model = small_model("bert", "masked-lm")
    assert model.base_model is model.backbone
    assert model.get_input_embeddings().weight.shape == (60, 16)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert small_model("bert").get_output_embeddings() is None
    assert small_model("t5", "seq2seq-lm").get_input_embeddings().weight.shape == (60, 16)
    assert small_model("vit").get_input_embeddings() is not None
    assert model.device == torch.device("cpu")
    assert model.dtype == torch.float32
    total = sum(p.numel() for p in model.parameters())
    assert model.num_parameters() == total
    model.get_input_embeddings().weight.requires_grad_(False)
    assert model.num_parameters(only_trainable=True) == total - 60 * 16


# --- Auto classes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AUTO, ids=lambda kind: kind.__name__)
def test_from_config_of_every_auto_class_on_every_family(kind: Any) -> None:
    """A pair that makes sense runs; one that does not is the field's error, which names what the family takes."""
    for model_type, family in families().items():
        config = small_config(model_type)
        tasks = (BASE, *tasks_of(family))
        stand_ins = {"pretraining": ("masked-lm", "seq2seq-lm", "causal-lm"), "masked-lm": ("seq2seq-lm",)}
        if kind.task in tasks or set(stand_ins.get(kind.task, ())) & set(tasks):
            model = kind.from_config(config)
            assert isinstance(model, PreTrainedModel)
            assert model.config is config
            assert any(p.requires_grad for p in model.parameters())
        else:
            with pytest.raises(ConfigError) as caught:
                kind.from_config(config)
            assert one_sentence(caught.value).startswith("Unrecognized configuration class")
            assert type(config).__name__ in str(caught.value)


def test_every_head_has_an_auto_class() -> None:
    # Projections are CLIP's alone, known by the names of its classes.
    standing_in = {task for task, head in HEADS.items() if head.answers in HEADS}
    assert {kind.task for kind in AUTO} == {BASE, *HEADS} - {"projection"} - standing_in


@pytest.mark.parametrize("kind", AUTO, ids=lambda kind: kind.__name__)
def test_auto_classes_have_no_instances(kind: Any) -> None:
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.from_pretrained"):
        kind()


def test_from_config_takes_dtype_and_attention() -> None:
    model = headway.AutoModel.from_config(small_config("bert"), dtype="bfloat16", attn_implementation="eager")
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert model.config._attn_implementation == "eager"
    assert headway.BertModel.from_config(small_config("bert"), torch_dtype=torch.float16).dtype == torch.float16
    with pytest.raises(ConfigError, match=r"attn_implementation='sdap' is unknown.*Did you mean 'sdpa'\?") as caught:
        headway.AutoModel.from_config(small_config("bert"), attn_implementation="sdap")
    one_sentence(caught.value)
    with pytest.raises(InputError, match="dtype='float23' is not a type of torch") as caught:
        headway.AutoModel.from_config(small_config("bert"), dtype="float23")
    one_sentence(caught.value)


def test_a_model_wants_a_config() -> None:
    with pytest.raises(
        ConfigError, match=r"BertModel expects a config .* got str; .* BertModel\.from_pretrained"
    ) as caught:
        headway.BertModel("bert-base-uncased")
    one_sentence(caught.value)


def test_a_pooler_can_be_left_out() -> None:
    model = headway.BertModel(small_config("bert"), add_pooling_layer=False)
    assert not [name for name in model.state_dict() if "pooler" in name]
    assert list(model(input_ids=torch.tensor([[5]]))) == ["last_hidden_state"]
