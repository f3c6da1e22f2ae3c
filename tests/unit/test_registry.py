"""Families by name: found by their files, added by users, and what is said of those that are not there."""

from __future__ import annotations

import pkgutil
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import headway.families
from headway import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
    registry,
)
from headway.errors import ConfigError
from headway.families import bert
from headway.registry import Family, families, find_family, register
from small import one_sentence, small_config


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """What a test registers is gone after it."""
    families()
    before, configs = dict(registry._families), dict(registry._configs)
    models = dict(AutoModel._registered)
    yield
    for table, was in ((registry._families, before), (registry._configs, configs), (AutoModel._registered, models)):
        table.clear()
        table.update(was)
    from headway.models.classes import class_names

    class_names.cache_clear()


# --- families -----------------------------------------------------------------------------------------------------


def test_every_file_of_the_package_is_a_family() -> None:
    import headway.families as package

    files = {module.name for module in pkgutil.iter_modules(package.__path__)}
    homes = {family.config.__module__.rpartition(".")[2] for family in families().values()}
    assert homes == files
    assert len(files) >= 13


def test_families_are_sorted_and_cannot_be_changed_through_the_look_up() -> None:
    found = families()
    assert list(found) == sorted(found)
    found.clear()  # type: ignore[attr-defined]
    assert "bert" in families()


def test_a_family_knows_its_model_type_and_title() -> None:
    family = find_family("bert")
    assert (family.model_type, family.title, family.config) == ("bert", "Bert", bert.BertConfig)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("brt", "bert"),
        ("Bert", "bert"),
        ("roberta-base", "roberta"),
        ("mixtrall", "mixtral"),
        ("deberta_v2", "deberta-v2"),
    ],
)
def test_an_unknown_model_type_offers_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"'{asked}' is not known to headway. Did you mean '{nearest}'") as caught:
        find_family(asked)
    one_sentence(caught.value)


def test_an_unknown_model_type_far_from_all() -> None:
    with pytest.raises(ConfigError, match="'zzzzz' is not known") as caught:
        find_family("zzzzz")
    assert "Did you mean" not in one_sentence(caught.value)


class TwinConfig(bert.BertConfig):
    model_type = "twin"


class NamelessConfig(PreTrainedConfig):
    pass


def twin(**changes: Any) -> Family:
    return replace(Family(TwinConfig, "Twin", bert.architecture, bert.names, bert.heads), **changes)


def test_a_registered_family_takes_every_head(tmp_path: Path) -> None:
    register(twin())
    config = TwinConfig(**{key: value for key, value in small_config("bert").to_dict().items() if key != "model_type"})
    for auto in (AutoModel, AutoModelForSequenceClassification, headway.AutoModelForMaskedLM):
        model = auto.from_config(config).eval()
        ids = torch.tensor([[5, 6, 7]])
        first = model(input_ids=ids)[0]
        model.save_pretrained(tmp_path)
        again = auto.from_pretrained(tmp_path)
        assert type(again) is type(model)
        assert torch.equal(again(input_ids=ids)[0], first)
    assert type(AutoConfig.from_pretrained(tmp_path)) is TwinConfig
    assert type(model).__name__ == "TwinForMaskedLM"


def test_a_registered_family_has_classes_by_name() -> None:
    register(twin(title="Zwilling"))
    assert headway.ZwillingForTokenClassification.__name__ == "ZwillingForTokenClassification"
    assert headway.TwinConfig is TwinConfig


def test_a_family_needs_a_model_type_of_its_own() -> None:
    with pytest.raises(ConfigError, match="NamelessConfig has no model_type") as caught:
        register(twin(config=NamelessConfig))
    one_sentence(caught.value)

    class BertConfig(PreTrainedConfig):
        model_type = "bert"

    with pytest.raises(ConfigError, match=r"'bert' belongs to BertConfig already") as caught:
        register(twin(config=BertConfig))
    one_sentence(caught.value)
    assert find_family("bert").config is bert.BertConfig


def test_a_family_of_the_same_module_replaces_itself() -> None:
    """A notebook cell that is run again."""
    register(twin())
    register(twin(title="Newer"))
    assert find_family("twin").title == "Newer"


# --- configs and models of users ----------------------------------------------------------------------------------


class NewModelConfig(PreTrainedConfig):
    model_type = "new-model"

    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.width = width


class NewModel(PreTrainedModel):
    config_class = NewModelConfig

    def __init__(self, config):
        super().__init__(config)
        self.linear = nn.Linear(config.width, 2)

    def forward(self, x):
        return self.linear(x)


def test_register_and_load_a_class_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Acceptance 003-3, with the folder "NewModel" in the working directory."""
    AutoConfig.register("new-model", NewModelConfig)
    AutoModel.register(NewModelConfig, NewModel)
    monkeypatch.chdir(tmp_path)
    made = NewModel(NewModelConfig(width=3))
    made.save_pretrained("NewModel")
    model = AutoModel.from_pretrained("NewModel")
    assert type(model) is NewModel
    assert type(model.config) is NewModelConfig
    assert model.config.width == 3
    assert torch.equal(model.linear.weight, made.linear.weight)
    assert type(AutoModel.from_config(NewModelConfig())) is NewModel
    assert AutoConfig.for_model("new-model", width=5).width == 5
    model = AutoModel.from_pretrained("NewModel", config=NewModelConfig(width=3))
    assert torch.equal(model.linear.bias, made.linear.bias)


def test_a_registered_config_without_a_model() -> None:
    AutoConfig.register("new-model", NewModelConfig)
    with pytest.raises(ConfigError) as caught:
        AutoModel.from_config(NewModelConfig())
    assert one_sentence(caught.value).startswith("Unrecognized configuration class NewModelConfig for AutoModel")
    AutoModel.register(NewModelConfig, NewModel)
    with pytest.raises(ValueError, match="Unrecognized configuration class"):
        AutoModelForSequenceClassification.from_config(NewModelConfig())


def test_names_that_disagree_or_are_taken() -> None:
    with pytest.raises(ConfigError, match=r"model_type is 'new-model' but it is registered as 'newmodel'") as caught:
        AutoConfig.register("newmodel", NewModelConfig)
    one_sentence(caught.value)
    AutoConfig.register("new-model", NewModelConfig)
    with pytest.raises(ConfigError, match=r"'new-model' is taken already") as caught:
        AutoConfig.register("new-model", NewModelConfig)
    one_sentence(caught.value)
    AutoConfig.register("new-model", NewModelConfig, exist_ok=True)

    class Mine(PreTrainedConfig):
        model_type = "bert"

    with pytest.raises(ConfigError, match="'bert' is taken already"):
        AutoConfig.register("bert", Mine)
    AutoModel.register(NewModelConfig, NewModel)
    with pytest.raises(ConfigError, match="NewModelConfig has a model in AutoModel already") as caught:
        AutoModel.register(NewModelConfig, NewModel)
    one_sentence(caught.value)
    AutoModel.register(NewModelConfig, NewModel, exist_ok=True)


def test_a_users_class_can_replace_a_familys() -> None:
    class Mine(headway.BertModel):  # type: ignore[misc, name-defined]
        pass

    AutoModel.register(bert.BertConfig, Mine, exist_ok=True)
    assert type(AutoModel.from_config(small_config("bert"))) is Mine


def test_families_stay_short() -> None:
    """Each is data that can be read at a glance; a longer one wants a component that the house lacks."""
    files = Path(headway.families.__file__).parent.glob("*.py")
    lines = {file.name: len(file.read_text().splitlines()) for file in files if file.name != "__init__.py"}
    assert statistics.median(lines.values()) <= 60
    assert sum(lines.values()) < 3500
    assert not {name: count for name, count in lines.items() if count > 80}
