"""``LoraConfig``: what an adapter is, as peft's ``adapter_config.json`` says it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from headway.errors import CheckpointError, ConfigError, did_you_mean
from headway.io.hub import locate
from headway.io.source import Source

FILE_NAME = "adapter_config.json"
# What stands before the hub's names in files.
PREFIX = "base_model.model."
WEIGHTS_NAMES = ("adapter_model.safetensors", "adapter_model.bin")

# How weights begin that change nothing but themselves; other ways (PiSSA, OLoRA, LoftQ) change the base model too.
_INITIAL = (True, False, "gaussian")
_INITIAL_IN_FILES = (*_INITIAL, "eva", "orthogonal")
# Keys of the format that change what an adapter computes and that headway does not have.
_UNKNOWN_HERE = (
    *("alora_invocation_tokens", "arrow_config", "kasa_config", "layer_replication", "lora_bias"),
    *("monteclora_config", "target_parameters", "trainable_token_indices", "use_bdlora", "use_qalora", "velora_config"),
)


@dataclass(kw_only=True)
class LoraConfig:
    """Low-rank adapters of linear layers.

    Args:
        r: their rank.
        lora_alpha: what is added is scaled by ``lora_alpha / r``, or by ``lora_alpha / sqrt(r)`` with ``use_rslora``
            (Kalajdzievski 2023, arXiv:2312.03732).
        target_modules: which layers: names or ends of names (``["q_proj", "attn.v"]``), a regex that fits whole names,
            or ``"all-linear"`` for all of the backbone. Names are looked for among the hub's, then among headway's
            own. None takes queries and values.
        exclude_modules: names or a regex of layers to leave out.
        layers_to_transform: numbers of the model's layers to keep to.
        rank_pattern, alpha_pattern: other values by a regex for the end of a layer's name.
        lora_dropout: probability of dropping an input of the adapter while training.
        use_dora: learn the length of each row of the weight apart from its direction.
        modules_to_save: modules of which the adapter has a whole copy that it trains, such as a new head.
        task_type: ``"SEQ_CLS"``, ``"TOKEN_CLS"`` and ``"QUESTION_ANS"`` put the head among ``modules_to_save``.
        init_lora_weights: True begins with no change, ``"gaussian"`` too; False draws all weights.
        extra: what else a file said; it is written back.

    Raises:
        ConfigError: a value makes no sense, or asks for what headway does not have.
    """

    r: int = 8
    lora_alpha: float = 8
    target_modules: list[str] | str | None = None
    exclude_modules: list[str] | str | None = None
    layers_to_transform: list[int] | int | None = None
    rank_pattern: dict[str, int] = field(default_factory=dict)
    alpha_pattern: dict[str, float] = field(default_factory=dict)
    lora_dropout: float = 0.0
    use_rslora: bool = False
    use_dora: bool = False
    bias: str = "none"
    fan_in_fan_out: bool = False
    modules_to_save: list[str] | None = None
    task_type: str | None = None
    init_lora_weights: bool | str = True
    base_model_name_or_path: str | None = None
    revision: str | None = None
    inference_mode: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("target_modules", "exclude_modules", "modules_to_save"):
            value = getattr(self, name)
            if isinstance(value, set | frozenset | tuple):
                setattr(self, name, sorted(value))
        ranks = {"r": self.r, **{f"rank_pattern[{key!r}]": rank for key, rank in self.rank_pattern.items()}}
        for name, rank in ranks.items():
            if type(rank) is not int or rank < 1:
                raise ConfigError(f"LoraConfig: {name} is {rank!r}, but a rank is a whole number from 1 on.")
        if not 0 <= self.lora_dropout < 1:
            raise ConfigError(f"LoraConfig: lora_dropout is {self.lora_dropout!r}, but it must be from 0 to below 1.")
        if self.bias != "none":
            raise ConfigError(
                f"LoraConfig: bias is {self.bias!r}, but headway trains no biases of the base model: use 'none', and "
                "modules_to_save for modules that are to be trained whole."
            )
        if self.init_lora_weights not in _INITIAL_IN_FILES:
            raise ConfigError(
                f"LoraConfig: init_lora_weights is {self.init_lora_weights!r}, which changes the base model or is not "
                f"known; it is one of {', '.join(map(repr, _INITIAL))}."
            )
        asked = [name for name in _UNKNOWN_HERE if self.extra.get(name)]
        if asked:
            raise ConfigError(
                f"LoraConfig: {asked[0]} is {self.extra[asked[0]]!r}, which headway's adapters do not have; train the "
                "adapter without it."
            )

    def check_new(self) -> None:
        """Raise ``ConfigError`` where an adapter cannot begin as this says."""
        if self.init_lora_weights not in _INITIAL:
            raise ConfigError(
                f"LoraConfig: init_lora_weights={self.init_lora_weights!r} can be read from files, but new adapters "
                f"begin with one of {', '.join(map(repr, _INITIAL))}."
            )

    def scale(self, rank: int, alpha: float) -> float:
        """What an addition of ``rank`` is multiplied by."""
        scale: float = alpha / (rank**0.5 if self.use_rslora else rank)
        return scale

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "adapter_config.json") -> Self:
        """The config that a file's ``values`` say.

        Raises:
            ConfigError: they describe an adapter of another kind, or of types that no field has.
        """
        kind = values.get("peft_type")
        if kind != "LORA":
            raise ConfigError(f"{where} describes an adapter of peft_type {kind!r}; headway reads 'LORA'.")
        known = {one.name for one in dataclasses.fields(cls)} - {"extra"}
        own = {key: value for key, value in values.items() if key in known}
        for key in ("rank_pattern", "alpha_pattern"):
            own[key] = own.get(key) or {}
        rest = {key: value for key, value in values.items() if key not in known and key != "peft_type"}
        try:
            return cls(**own, extra=rest)
        except (AttributeError, TypeError) as error:
            raise ConfigError(f"{where} is no config of an adapter ({error}): download it again.") from error

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **places: Any) -> Self:
        """The config of the adapter in a folder or a hub repo; ``places`` are ``revision``, ``cache_dir``, ..."""
        return read_lora_config(locate(name, **places), cls)

    def to_dict(self) -> dict[str, Any]:
        """The keys and values of ``adapter_config.json``."""
        own = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.name != "extra"}
        return {"peft_type": "LORA", **self.extra, **own}

    def to_json_string(self) -> str:
        """The text of ``adapter_config.json``."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"


def read_lora_config(source: Source, kind: type[Any] = LoraConfig) -> Any:
    """The config of the adapter at ``source``.

    Raises:
        CheckpointError: there is no adapter.
        ConfigError: it is of another kind, or the file is broken.
    """
    values = source.read_json(FILE_NAME)
    if values is None:
        raise CheckpointError(
            f"{source.name!r} has no {FILE_NAME}: searched {source.where}.{did_you_mean(FILE_NAME, source.files())}"
        )
    return kind.from_dict(values, str(Path(source.name) / FILE_NAME))
