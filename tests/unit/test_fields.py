"""Fields of configs hold what their annotations say; what sloppy checkpoints write is understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from headway import AutoConfig, AutoModel, BertConfig, GPT2Config, LlamaConfig, PreTrainedConfig
from headway.errors import ConfigError
from headway.fields import fitting
from headway.registry import families
from small import one_sentence


class Sloppy(PreTrainedConfig):
    count: int = 1
    share: float = 0.5
    switch: bool = True
    word: str = ""
    ids: int | list[int] | None = None
    pair: tuple[int, int] = (1, 2)
    table: dict[str, Any] | None = None
    mode: Literal["a", "b"] = "a"
    anything: Any = None
    other: Path | None = None


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("count", 3, 3),
        ("count", 3.0, 3),
        ("count", np.int64(3), 3),
        ("count", None, None),
        ("share", 1, 1),
        ("share", np.float32(0.5), 0.5),
        ("switch", 0, False),
        ("switch", 1.0, True),
        ("word", "x", "x"),
        ("ids", [1, 2], [1, 2]),
        ("ids", 2, 2),
        ("pair", [3, 4], [3, 4]),
        ("table", {"a": 1}, {"a": 1}),
        ("mode", "c", "c"),
        ("anything", "x", "x"),
        ("other", "x", "x"),
        ("no_field", "x", "x"),
    ],
)
def test_what_can_be_meant_is_taken(name: str, value: Any, held: Any) -> None:
    found = getattr(Sloppy(**{name: value}), name)
    assert found == held
    assert type(found) is type(held)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("count", "3", "a whole number"),
        ("count", 2.5, "a whole number"),
        ("count", float("nan"), "a whole number"),
        ("count", True, "a whole number"),
        ("count", [3], "a whole number"),
        ("share", "0.5", "a number"),
        ("share", False, "a number"),
        ("switch", "true", "true or false"),
        ("switch", 2, "true or false"),
        ("word", 5, "text"),
        ("word", ["x"], "text"),
        ("ids", "2", "a whole number or a list"),
        ("pair", 3, "a list"),
        ("table", "x", "a dictionary"),
        ("mode", 1, "text"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: Any, expected: str) -> None:
    for make in (lambda: Sloppy(**{name: value}), lambda: setattr(Sloppy(), name, value)):
        with pytest.raises(ConfigError, match=f"must be {expected}; ") as caught:
            make()
        assert f"Sloppy.{name} is {value!r}" in one_sentence(caught.value)


@pytest.mark.parametrize(
    ("model_type", "name", "value"),
    [
        ("bert", "type_vocab_size", "2"),
        ("bert", "hidden_dropout_prob", "0.1"),
        ("gpt2", "n_inner", "3072"),
        ("llama", "rope_parameters", "linear"),
        ("t5", "feed_forward_proj", 3),
    ],
)
def test_the_field_of_a_file_is_named(tmp_path: Path, model_type: str, name: str, value: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type, name: value}))
    for load in (AutoConfig, AutoModel, families()[model_type].config):
        with pytest.raises(ConfigError, match=rf"Config\.{name} is {value!r}"):
            load.from_pretrained(tmp_path)


def test_both_spellings_and_overrides_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"GPT2Config\.n_embd is '768'"):
        GPT2Config(hidden_size="768")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", "num_key_value_heads": None}))
    assert AutoConfig.from_pretrained(tmp_path).num_key_value_heads is None
    with pytest.raises(ConfigError, match="num_key_value_heads"):
        AutoConfig.from_pretrained(tmp_path, num_key_value_heads="8")
    config = LlamaConfig(hidden_size=64.0)
    assert json.loads(config.to_json_string())["hidden_size"] == 64


@pytest.mark.parametrize("model_type", list(families()))
def test_every_default_fits(model_type: str) -> None:
    kind = families()[model_type].config
    for name, value in kind._fields.items():
        assert fitting(kind, name, value) is value


def test_annotations_that_only_type_checkers_read_are_let_pass() -> None:
    class Odd(BertConfig):
        depth: Unknown = 3  # type: ignore[name-defined]  # noqa: F821

    assert Odd(depth="deep").depth == "deep"
    with pytest.raises(ConfigError, match="hidden_size"):
        Odd(hidden_size="x")
