"""``PreTrainedConfig``: the fields of a checkpoint's ``config.json``, read, changed and written back.

A family's config is a subclass whose annotations are its fields::

    class BertConfig(PreTrainedConfig):
        model_type = "bert"
        hidden_size: int = 768

Keys that no field names are kept as attributes and written back, so nothing of a file is lost. Subclasses with an
``__init__`` of their own that pass the rest on to ``super().__init__(**kwargs)`` work too.
"""

from __future__ import annotations

import copy
import inspect
import json
import os
from pathlib import Path
from typing import Any, ClassVar, Self, dataclass_transform

from headway.errors import ConfigError, InputError
from headway.fields import fitting
from headway.io.atomic import atomic_folder, write_file
from headway.io.configs import part_of, read_config
from headway.io.hub import locate

SOURCE_KEYWORDS = (
    "revision",
    "subfolder",
    "cache_dir",
    "token",
    "local_files_only",
    "force_download",
)
# What families call the fields that all of them have.
_COMMON_FIELDS = {
    "hidden_size": ("d_model", "dim", "n_embd"),
    "num_hidden_layers": ("encoder_layers", "num_layers", "n_layers", "n_layer"),
    "num_attention_heads": ("encoder_attention_heads", "num_heads", "n_heads", "n_head"),
    "intermediate_size": ("hidden_dim", "n_inner"),
    "max_position_embeddings": ("n_positions",),
    "head_dim": ("d_kv",),
}
_OTHER_SPELLINGS = {"torch_dtype": "dtype", "attn_implementation": "_attn_implementation"}
_UNSAVED = ("_attn_implementation", "name_or_path")


def take_source_keywords(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Remove from ``kwargs`` and return what says where a checkpoint lies, for ``io.hub.locate``.

    Raises:
        InputError: ``trust_remote_code=True``: headway runs no code that comes with a checkpoint.
    """
    if kwargs.pop("trust_remote_code", False):
        raise InputError(
            "trust_remote_code=True is not supported, because headway never runs code from a checkpoint; register a "
            "family or a model class of your own for it instead."
        )
    kwargs.pop("proxies", None)
    return {key: kwargs.pop(key) for key in SOURCE_KEYWORDS if key in kwargs}


@dataclass_transform(kw_only_default=True)
class _Fields:
    """Collects the annotated fields of each config class, in order of definition, and other names for them.

    ``attribute_map`` holds the names that all families know (``hidden_size`` for a field ``d_model``), and those that a
    class adds.
    """

    _fields: ClassVar[dict[str, Any]] = {}
    attribute_map: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {
            name: cls.__dict__.get(name)
            for name, kind in inspect.get_annotations(cls).items()
            if "ClassVar" not in str(kind)
        }
        cls._fields = {**cls._fields, **own}
        common = {
            name: other
            for name, others in _COMMON_FIELDS.items()
            for other in others
            if other in cls._fields and name not in cls._fields
        }
        cls.attribute_map = {**common, **cls.attribute_map}
        if "__init__" not in cls.__dict__:
            parameters = [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
                for name, default in cls._fields.items()
            ]
            extra = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
            cls.__signature__ = inspect.Signature([*parameters, extra])  # type: ignore[attr-defined]


class PreTrainedConfig(_Fields):
    """Configuration of a network: the fields of ``config.json`` as attributes.

    Args:
        **kwargs: fields of the class, their other spellings in ``attribute_map``, ``num_labels``, or further keys,
            which are kept.
    """

    model_type: ClassVar[str] = ""

    architectures: list[str] | None = None
    dtype: str | dict[str, str] | None = None
    initializer_range: float = 0.02
    use_cache: bool = True
    is_encoder_decoder: bool = False
    tie_word_embeddings: bool = True
    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    decoder_start_token_id: int | None = None
    id2label: dict[int, str] | None = None
    label2id: dict[str, int] | None = None
    problem_type: str | None = None
    output_attentions: bool = False
    output_hidden_states: bool = False
    return_dict: bool = True

    def __init__(self, **kwargs: Any) -> None:
        self.name_or_path = str(kwargs.pop("name_or_path", kwargs.pop("_name_or_path", "")))
        self._attn_implementation: str | None = None
        num_labels = kwargs.pop("num_labels", None)
        for name, default in self._fields.items():
            if name not in self.__dict__:
                object.__setattr__(self, name, _own(default))
        for name, value in kwargs.items():
            if name not in ("model_type", "attribute_map"):
                setattr(self, name, value)
        if num_labels is not None:
            self.num_labels = num_labels
        if self.label2id is None and self.id2label is not None:
            self.label2id = {label: index for index, label in self.id2label.items()}

    # --- names -----------------------------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        name = self.attribute_map.get(name, _OTHER_SPELLINGS.get(name, name))
        default = self._fields.get(name)
        if isinstance(default, PreTrainedConfig) and not isinstance(value, PreTrainedConfig):
            value = _own(default) if value is None else _nested(default, name, value)
        if name == "dtype" and value is not None:
            value = _dtype_names(value)
        elif name == "label2id" and isinstance(value, dict) and value and self.__dict__.get("id2label") is None:
            name, value = "id2label", {index: label for label, index in value.items()}
        if name == "id2label" and value is not None:
            try:
                value = {int(index): label for index, label in value.items()}
            except (AttributeError, TypeError, ValueError):
                raise ConfigError(f"id2label must map numbers to names of labels, but it is {value!r}.") from None
            object.__setattr__(self, "label2id", {label: index for index, label in value.items()})
        else:
            value = fitting(type(self), name, value)
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        mapped = type(self).attribute_map.get(name, _OTHER_SPELLINGS.get(name, name))
        if mapped != name:
            return getattr(self, mapped)
        # Nearest names are looked for by the interpreter, and only where the error is shown.
        raise AttributeError(f"{type(self).__name__} has no field {name!r}.", name=name, obj=self)

    @property
    def num_labels(self) -> int:
        """How many labels a classification head tells apart (2 where nothing is said)."""
        return 2 if self.id2label is None else len(self.id2label)

    @num_labels.setter
    def num_labels(self, count: int) -> None:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ConfigError(f"num_labels={count!r} is no number of labels; give an integer of at least 1.")
        if count != self.num_labels:  # names that fit are kept
            self.id2label = {index: f"LABEL_{index}" for index in range(count)}

    def label(self, index: int) -> str:
        """The name of label ``index``."""
        return f"LABEL_{index}" if self.id2label is None else self.id2label.get(index, f"LABEL_{index}")

    @property
    def use_return_dict(self) -> bool:
        """Do models return a ``ModelOutput`` rather than a plain tuple?"""
        return self.return_dict

    # --- reading ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_dict(cls, values: dict[str, Any], **kwargs: Any) -> Any:
        """Make a config of ``values``, overridden by those ``kwargs`` that are fields.

        With ``return_unused_kwargs=True`` the result is ``(config, rest of kwargs)``, else the rest is kept too.
        """
        return_unused = kwargs.pop("return_unused_kwargs", False)
        values = cls._own_values(values)
        config = cls(**values)
        unused = {}
        for name, value in kwargs.items():
            if config.has_field(name) or not return_unused:
                setattr(config, name, value)
            else:
                unused[name] = value
        return (config, unused) if return_unused else config

    @classmethod
    def _own_values(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Of the config of a larger model, such as CLIP's, the part that is of this class; else ``values``."""
        if values.get("model_type", cls.model_type) != cls.model_type:
            for part in values.values():
                if isinstance(part, dict) and part.get("model_type") == cls.model_type:
                    return {"name_or_path": values.get("name_or_path", ""), **part}
        return values

    def get_text_config(self) -> PreTrainedConfig:
        """The config of the part that reads text: that of a nested ``text_config``, or this one."""
        text = self.__dict__.get("text_config")
        return text if isinstance(text, PreTrainedConfig) else self

    def has_field(self, name: str) -> bool:
        """Is ``name`` a field of this config, under one of its spellings?"""
        return name in self.__dict__ or name in self.attribute_map or name in _OTHER_SPELLINGS or name == "num_labels"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Any:
        """Read the config of a checkpoint: a folder, a JSON file or a hub id.

        Args:
            pretrained_model_name_or_path: where the checkpoint lies.
            **kwargs: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``,
                ``return_unused_kwargs``, and fields to override.

        Raises:
            CheckpointError: there is no such checkpoint, or it has no config.
            ConfigError: the config is not valid JSON.
        """
        source = locate(pretrained_model_name_or_path, **take_source_keywords(kwargs))
        return cls.from_dict({**cls.own_part(read_config(source)), "name_or_path": source.name}, **kwargs)

    @classmethod
    def own_part(cls, values: dict[str, Any]) -> dict[str, Any]:
        """``values``, or the part of them that is of this class's kind where they describe several networks."""
        return part_of(values, lambda kind: not cls.model_type or kind == cls.model_type)

    @classmethod
    def from_json_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a config from one JSON file."""
        config: Self = cls.from_pretrained(path)
        return config

    # --- writing ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All that ``config.json`` holds, as plain values; common fields at their default are left out."""
        common = PreTrainedConfig._fields
        values = {
            name: _plain(value)
            for name, value in self.__dict__.items()
            if name not in _UNSAVED and not (name in common and value == type(self)._fields.get(name, common[name]))
        }
        for name, default in type(self)._fields.items():
            if name in common and default != common[name]:
                values[name] = _plain(getattr(self, name))
        if self.id2label is None:
            values.pop("label2id", None)
        return {**values, "model_type": self.model_type} if self.model_type else values

    def to_json_string(self) -> str:
        """``to_dict`` as JSON with sorted keys."""
        return json.dumps(self.to_dict(), indent=2, sort_keys=True) + "\n"

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write ``config.json`` into a folder, which is made where it is missing; all or nothing."""
        with atomic_folder(Path(save_directory)) as folder:
            write_file(folder / "config.json", self.to_json_string().encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PreTrainedConfig) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__} {self.to_json_string().rstrip()}"


PretrainedConfig = PreTrainedConfig


class TwoStackConfig(PreTrainedConfig):
    """The fields of families that describe an encoder and a decoder apart; they came with BART."""

    vocab_size: int = 50265
    max_position_embeddings: int = 1024
    d_model: int = 1024
    encoder_layers: int = 12
    encoder_attention_heads: int = 16
    encoder_ffn_dim: int = 4096
    decoder_layers: int = 12
    decoder_attention_heads: int = 16
    decoder_ffn_dim: int = 4096
    activation_function: str = "gelu"
    dropout: float = 0.1
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    init_std: float = 0.02
    scale_embedding: bool = False
    is_encoder_decoder: bool = True


class EncoderConfig(PreTrainedConfig):
    """The fields that BERT and most encoders after it have, with BERT's values."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0


def _dtype_names(value: Any) -> str | dict[str, str] | None:
    """A dtype, or those of the parts of a model by name, in words without ``torch.``; None for "auto"."""
    if isinstance(value, dict):
        return {part: name for part, kind in value.items() if isinstance(name := _dtype_names(kind), str)}
    name = str(value).removeprefix("torch.")
    return None if name == "auto" else name


def _own(default: Any) -> Any:
    """A copy of a field's default, for one config alone."""
    return copy.deepcopy(default) if isinstance(default, PreTrainedConfig) else copy.copy(default)


def _nested(default: PreTrainedConfig, name: str, value: Any) -> PreTrainedConfig:
    """The nested config that ``value`` tells of; raises ``ConfigError`` where it is no dictionary."""
    if not isinstance(value, dict):
        raise ConfigError(f"{name} must hold the fields of a {type(default).__name__}, but it is {value!r}.")
    return type(default)(**value)


def _plain(value: Any) -> Any:
    if isinstance(value, PreTrainedConfig):
        return value.to_dict()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
