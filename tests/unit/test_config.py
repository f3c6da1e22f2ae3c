"""Configs: fields and their spellings, unknown keys, labels, dtype, and what other libraries read of them."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

import headway
from headway import AutoConfig, BertConfig, DistilBertConfig, GPT2Config, PreTrainedConfig, PretrainedConfig, T5Config
from headway.errors import CheckpointError, ConfigError, HeadwayError, InputError
from headway.registry import families
from small import one_sentence, small_config

MODEL_TYPES = tuple(families())


def write(folder: Path, **values: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    return folder


def saved(config: PreTrainedConfig, folder: Path) -> dict[str, Any]:
    config.save_pretrained(folder)
    values: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return values


# --- fields -------------------------------------------------------------------------------------------------------


def test_defaults_and_overrides() -> None:
    config = BertConfig(hidden_size=32)
    assert (config.hidden_size, config.num_hidden_layers, config.pad_token_id) == (32, 12, 0)
    assert BertConfig().hidden_size == 768
    config.num_hidden_layers = 3
    assert config.num_hidden_layers == 3
    assert PretrainedConfig is PreTrainedConfig


def test_the_signature_names_the_fields() -> None:
    parameters = inspect.signature(BertConfig).parameters
    assert parameters["hidden_size"].default == 768
    assert "type_vocab_size" in parameters
    assert "kwargs" in parameters
    assert inspect.signature(GPT2Config).parameters["n_embd"].default == 768


def test_mutable_defaults_are_not_shared() -> None:
    one, other = headway.BartConfig(), headway.BartConfig()
    one.id2label[0] = "changed"
    assert other.id2label[0] == "LABEL_0"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="BertConfig has no field 'hidden_sise'"):
        BertConfig().hidden_sise  # noqa: B018
    assert getattr(BertConfig(), "nothing", 5) == 5
    assert not hasattr(BertConfig(), "n_embd")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_both_spellings_name_one_field(model_type: str) -> None:
    kind = families()[model_type].config
    for other, own in kind.attribute_map.items():
        made = kind(**{other: 6})
        assert getattr(made, own) == getattr(made, other) == 6
        setattr(made, other, 7)
        assert getattr(made, own) == 7
        setattr(made, own, 8)
        assert getattr(made, other) == 8
        assert other not in made.to_dict()
        assert "attribute_map" not in made.to_dict()
        assert made.to_dict()[own] == 8


def test_common_names_exist_in_every_family_over_text() -> None:
    for model_type in MODEL_TYPES:
        config = small_config(model_type).get_text_config()
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads"):
            assert isinstance(getattr(config, name), int), (model_type, name)


def test_unknown_keys_are_kept_and_written_back(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", model_type="bert", my_key={"deep": [1, {"x": None}]}, task_specific_params={"s": {}})
    config = AutoConfig.from_pretrained(folder)
    assert config.my_key == {"deep": [1, {"x": None}]}
    values = saved(config, tmp_path / "b")
    assert values["my_key"] == {"deep": [1, {"x": None}]}
    assert values["task_specific_params"] == {"s": {}}
    assert AutoConfig.from_pretrained(tmp_path / "b") == config


def test_every_key_of_a_file_survives_a_round_trip(tmp_path: Path) -> None:
    original = {"model_type": "gpt2", "n_layer": 3, "n_ctx": 1024, "vocab_size": 7, "summary_type": "cls_index"}
    values = saved(AutoConfig.from_pretrained(write(tmp_path / "a", **original)), tmp_path / "b")
    assert {key: values[key] for key in original} == original


# --- labels -------------------------------------------------------------------------------------------------------


def test_two_labels_where_nothing_is_said() -> None:
    config = BertConfig()
    assert config.num_labels == 2
    assert config.label(1) == "LABEL_1"
    assert "id2label" not in config.to_dict()
    assert "label2id" not in config.to_dict()
    assert "num_labels" not in config.to_dict()


def test_num_labels_makes_names() -> None:
    config = BertConfig(num_labels=3)
    assert config.id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert config.label2id == {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2}
    config.num_labels = 1
    assert config.id2label == {0: "LABEL_0"}
    assert config.label2id == {"LABEL_0": 0}


def test_names_of_labels_have_integer_keys_and_string_keys_in_files(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", model_type="bert", id2label={"0": "O", "1": "B-PER", "2": "I-PER"})
    config = AutoConfig.from_pretrained(folder)
    assert config.id2label == {0: "O", 1: "B-PER", 2: "I-PER"}
    assert config.label2id == {"O": 0, "B-PER": 1, "I-PER": 2}
    assert config.num_labels == 3
    assert config.label(1) == "B-PER"
    assert config.label(9) == "LABEL_9"
    values = saved(config, tmp_path / "b")
    assert values["id2label"] == {"0": "O", "1": "B-PER", "2": "I-PER"}
    assert values["label2id"] == {"O": 0, "B-PER": 1, "I-PER": 2}


def test_num_labels_that_agrees_keeps_the_names_and_another_replaces_them(tmp_path: Path) -> None:
    folder = write(tmp_path, model_type="bert", id2label={"0": "neg", "1": "pos"}, label2id={"neg": 0, "pos": 1})
    assert AutoConfig.from_pretrained(folder, num_labels=2).id2label == {0: "neg", 1: "pos"}
    config = AutoConfig.from_pretrained(folder, num_labels=5)
    assert config.num_labels == 5
    assert config.id2label[4] == "LABEL_4"
    assert config.label2id["LABEL_4"] == 4


def test_a_file_with_one_direction_of_names(tmp_path: Path) -> None:
    folder = write(tmp_path, model_type="bert", id2label={"0": "neg", "1": "pos"}, label2id=None)
    assert AutoConfig.from_pretrained(folder).label2id == {"neg": 0, "pos": 1}


def test_names_given_by_the_user() -> None:
    config = BertConfig(id2label={0: "no", 1: "yes"}, label2id={"no": 0, "yes": 1})
    assert (config.num_labels, config.label2id) == (2, {"no": 0, "yes": 1})
    config = BertConfig(num_labels=2, id2label={0: "no", 1: "yes"})
    assert config.id2label == {0: "no", 1: "yes"}


# --- dtype --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_dtype_under_both_names(tmp_path: Path, key: str) -> None:
    config = AutoConfig.from_pretrained(write(tmp_path / "a", model_type="bert", **{key: "float16"}))
    assert config.dtype == config.torch_dtype == "float16"
    values = saved(config, tmp_path / "b")
    assert values["dtype"] == "float16"
    assert "torch_dtype" not in values


def test_dtype_takes_torch_types_and_their_names() -> None:
    import torch

    assert BertConfig(torch_dtype=torch.bfloat16).dtype == "bfloat16"
    assert BertConfig(dtype="torch.float16").dtype == "float16"
    config = BertConfig()
    config.torch_dtype = torch.float32
    assert config.dtype == "float32"


# --- reading ------------------------------------------------------------------------------------------------------


def test_overrides_and_unused_keywords(tmp_path: Path) -> None:
    folder = write(tmp_path, model_type="distilbert", dim=24)
    config, rest = AutoConfig.from_pretrained(folder, n_heads=2, num_hidden_layers=4, foo=1, return_unused_kwargs=True)
    assert (config.n_heads, config.num_attention_heads, config.n_layers, config.dim) == (2, 2, 4, 24)
    assert rest == {"foo": 1}
    assert not hasattr(config, "foo")
    kept = AutoConfig.from_pretrained(folder, foo=1)
    assert kept.foo == 1
    config, rest = DistilBertConfig.from_pretrained(folder, return_unused_kwargs=True)
    assert (config.dim, rest) == (24, {})


def test_the_name_of_the_place_is_kept_and_not_written(tmp_path: Path) -> None:
    config = AutoConfig.from_pretrained(write(tmp_path / "a", model_type="bert", _name_or_path="somewhere/else"))
    assert config.name_or_path == str(tmp_path / "a")
    assert "_name_or_path" not in saved(config, tmp_path / "b")
    assert "name_or_path" not in saved(config, tmp_path / "b")


def test_a_json_file_and_a_folder_and_a_class(tmp_path: Path) -> None:
    write(tmp_path, model_type="bert", hidden_size=24)
    for name in (tmp_path, str(tmp_path), tmp_path / "config.json", str(tmp_path / "config.json")):
        for config in (AutoConfig.from_pretrained(name), BertConfig.from_pretrained(name)):
            assert type(config) is BertConfig
            assert config.hidden_size == 24
    (tmp_path / "other.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    assert AutoConfig.from_pretrained(tmp_path / "other.json").hidden_size == 8
    assert BertConfig.from_json_file(tmp_path / "other.json").hidden_size == 8


def test_for_model() -> None:
    config = AutoConfig.for_model("t5", d_model=8, num_heads=2)
    assert type(config) is T5Config
    assert (config.hidden_size, config.num_attention_heads) == (8, 2)
    with pytest.raises(ConfigError, match=r"'t55' is not known to headway. Did you mean 't5'\?"):
        AutoConfig.for_model("t55")
    with pytest.raises(TypeError, match=r"AutoConfig\.from_pretrained"):
        AutoConfig()


# --- subclasses ---------------------------------------------------------------------------------------------------


class ListedConfig(PreTrainedConfig):
    """As the acceptance list's row 003-4 writes it: plain ``__init__``, sixteen arguments, the rest passed on."""

    model_type = "listed-bert"

    def __init__(
        self,
        vocab_size=30522,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        hidden_act="gelu",
        hidden_dropout_prob=0.1,
        attention_probs_dropout_prob=0.1,
        max_position_embeddings=512,
        type_vocab_size=2,
        initializer_range=0.02,
        layer_norm_eps=1e-12,
        pad_token_id=0,
        position_embedding_type="absolute",
        use_cache=True,
        classifier_dropout=None,
        **kwargs,
    ):
        super().__init__(pad_token_id=pad_token_id, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.num_attention_heads = num_attention_heads
        self.hidden_act = hidden_act
        self.intermediate_size = intermediate_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.attention_probs_dropout_prob = attention_probs_dropout_prob
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.initializer_range = initializer_range
        self.layer_norm_eps = layer_norm_eps
        self.position_embedding_type = position_embedding_type
        self.use_cache = use_cache
        self.classifier_dropout = classifier_dropout


def test_a_subclass_with_an_init_of_its_own(tmp_path: Path) -> None:
    config = ListedConfig(hidden_size=16, num_labels=3, extra="kept")
    assert (config.hidden_size, config.pad_token_id, config.num_labels, config.extra) == (16, 0, 3, "kept")
    assert next(iter(inspect.signature(ListedConfig).parameters)) == "vocab_size"
    again = ListedConfig.from_pretrained(_folder(config, tmp_path))
    assert again == config
    assert (again.hidden_size, again.classifier_dropout, again.extra) == (16, None, "kept")
    assert ListedConfig.from_pretrained(tmp_path, hidden_size=4).hidden_size == 4


def _folder(config: PreTrainedConfig, folder: Path) -> Path:
    config.save_pretrained(folder)
    return folder


class AnnotatedConfig(BertConfig):
    model_type = "annotated"
    attribute_map = {"width": "hidden_size"}  # noqa: RUF012 - as users write it

    hidden_size: int = 8
    depth: int = 3


class InheritingConfig(AnnotatedConfig):
    model_type = "inheriting"

    depth: int = 5


def test_a_subclass_with_annotations(tmp_path: Path) -> None:
    config = AnnotatedConfig(width=4)
    assert (config.hidden_size, config.depth, config.vocab_size) == (4, 3, 30522)
    assert InheritingConfig().depth == 5
    assert InheritingConfig(width=2).hidden_size == 2
    values = saved(InheritingConfig(depth=6), tmp_path)
    assert (values["model_type"], values["depth"]) == ("inheriting", 6)


class Holder(PreTrainedConfig):
    model_type = "holder"

    def __init__(self, text_config=None, **kwargs):
        super().__init__(**kwargs)
        self.text_config = BertConfig(**text_config) if isinstance(text_config, dict) else text_config or BertConfig()


def test_a_config_within_a_config(tmp_path: Path) -> None:
    config = Holder(text_config={"hidden_size": 12})
    values = saved(config, tmp_path)
    assert values["text_config"]["hidden_size"] == 12
    again = Holder.from_pretrained(tmp_path)
    assert again.text_config == config.text_config
    assert type(again.text_config) is BertConfig


# --- equality, copies, text ---------------------------------------------------------------------------------------


def test_equality_copies_pickles_and_text() -> None:
    config = BertConfig(num_labels=3, hidden_size=24, my_key=[1])
    for other in (copy.copy(config), copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert other == config
        assert other.num_labels == 3
    assert config != BertConfig()
    assert config != {}
    assert repr(config).startswith("BertConfig {")
    assert json.loads(config.to_json_string())["my_key"] == [1]
    deep = copy.deepcopy(config)
    deep.my_key.append(2)
    assert config.my_key == [1]


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    config = small_config("t5")
    config.save_pretrained(tmp_path / "a")
    AutoConfig.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    assert (tmp_path / "a" / "config.json").read_bytes() == (tmp_path / "b" / "config.json").read_bytes()


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_save_and_load_give_the_same_config(tmp_path: Path, model_type: str) -> None:
    for config in (small_config(model_type), families()[model_type].config(num_labels=4)):
        again = AutoConfig.from_pretrained(_folder(config, tmp_path))
        assert type(again) is type(config)
        assert again.to_dict() == config.to_dict()


# --- against transformers -----------------------------------------------------------------------------------------

# Fields that only describe the run, or that transformers derives or renames; compared by their meaning elsewhere.
NOT_COMPARED = {"transformers_version", "dtype", "architectures", "rope_parameters", "id2label", "label2id"}
# Fields that transformers fills in from others where they are None, and headway leaves None: the spec derives them.
DERIVED = {"head_dim", "num_key_value_heads", "num_decoder_layers", "pooler_output_size", "scale_decoder_outputs"}
DERIVED |= {"decoder_vocab_size", "layer_types", "num_kv_heads", "ffn_hidden_size", "word_embed_proj_dim"}
DERIVED |= {"mlp_only_layers", "projection_size"}
# Fields that transformers empties where another is False.
SWITCHED = {"sliding_window": "use_sliding_window"}
# Fields that transformers leaves unset, so that every file names them.
UNSET = {"esm": {"vocab_size", "mask_token_id", "pad_token_id"}}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_transformers_reads_our_config_to_the_same_values(tmp_path: Path, model_type: str) -> None:
    import transformers

    for config in (small_config(model_type), families()[model_type].config(num_labels=5)):
        theirs = transformers.AutoConfig.from_pretrained(_folder(config, tmp_path))
        assert theirs.model_type == model_type
        assert theirs.num_labels == config.num_labels
        assert theirs.id2label == {index: config.label(index) for index in range(config.num_labels)}
        for name in (*config._fields, *config.attribute_map):
            if name not in NOT_COMPARED and hasattr(theirs, name):
                assert _same(name, config, theirs), name


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_we_read_the_config_of_transformers_to_the_same_values(tmp_path: Path, model_type: str) -> None:
    import transformers

    for theirs in (
        transformers.AutoConfig.for_model(model_type),
        transformers.AutoConfig.for_model(model_type, num_labels=5, bos_token_id=7, pad_token_id=1),
    ):
        theirs.save_pretrained(tmp_path)
        config = AutoConfig.from_pretrained(tmp_path)
        assert type(config) is families()[model_type].config
        assert config.num_labels == theirs.num_labels
        for name in (*config._fields, *json.loads((tmp_path / "config.json").read_text())):
            if name not in NOT_COMPARED and hasattr(theirs, name):
                assert _same(name, config, theirs), name


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_defaults_are_those_of_the_field(model_type: str) -> None:
    """A file that names few fields means the same in both libraries."""
    import transformers

    theirs = transformers.AutoConfig.for_model(model_type)
    config = families()[model_type].config()
    for name in config._fields:
        if name not in NOT_COMPARED | UNSET.get(model_type, set()) and hasattr(theirs, name):
            assert _same(name, config, theirs), name


def _same(name: str, config: Any, other: Any) -> bool:
    ours, theirs = getattr(config, name), getattr(other, name)
    if (ours is None and name in DERIVED) or getattr(config, SWITCHED.get(name, ""), None) is False:
        return True
    if isinstance(ours, PreTrainedConfig):
        return all(
            _same(field, ours, theirs) for field in ours._fields if field not in NOT_COMPARED and hasattr(theirs, field)
        )

    def plain(value: Any) -> Any:
        return list(value) if isinstance(value, tuple) else value

    return bool(plain(ours) == plain(theirs))


# --- what is wrong ------------------------------------------------------------------------------------------------


def test_a_folder_without_a_config(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json") as caught:
        AutoConfig.from_pretrained(tmp_path)
    assert str(tmp_path) in one_sentence(caught.value)


def test_code_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, model_type="bert", auto_map={"AutoConfig": "evil.Config"})
    for load in (AutoConfig.from_pretrained, BertConfig.from_pretrained):
        with pytest.raises(InputError, match="trust_remote_code=True") as caught:
            load(folder, trust_remote_code=True)
        one_sentence(caught.value)
    assert type(AutoConfig.from_pretrained(folder, trust_remote_code=False)) is BertConfig


@pytest.mark.parametrize(("key", "value"), [("id2label", ["a"]), ("id2label", {"x": "a"}), ("num_labels", "three")])
def test_labels_that_make_no_sense(tmp_path: Path, key: str, value: Any) -> None:
    folder = write(tmp_path, model_type="bert", **{key: value})
    with pytest.raises(HeadwayError, match=key) as caught:
        AutoConfig.from_pretrained(folder)
    one_sentence(caught.value)
