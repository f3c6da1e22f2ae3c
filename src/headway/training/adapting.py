"""Training a small part beside a model: what a job says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from headway.adapters.config import LoraConfig
from headway.adapters.places import parameter_places
from headway.errors import ConfigError
from headway.io.atomic import write_file
from headway.training.tasks.base import option

# What peft calls heads; a name outside is one that it does not have.
_TYPES = {
    "sequence-classification": "SEQ_CLS",
    "token-classification": "TOKEN_CLS",
    "question-answering": "QUESTION_ANS",
    "causal-lm": "CAUSAL_LM",
    "seq2seq-lm": "SEQ_2_SEQ_LM",
}
# Heads that models are pretrained with, and which are left as they are.
_PRETRAINED = ("causal-lm", "seq2seq-lm", "masked-lm")


@dataclass(frozen=True, kw_only=True)
class Adapting:
    """An adapter of low rank to train in place of the model; ``lora`` is its rank, None trains the model itself.

    Raises:
        ConfigError: something is said of an adapter, and there is none.
    """

    lora: int | None = option(None, "train an adapter of this rank beside the model (LoRA), such as 8", int)
    lora_alpha: float | None = option(None, "what it adds is scaled by this / rank, by default 8", float)
    lora_dropout: float | None = option(None, "the share of its inputs that is dropped, by default 0", float)
    target_modules: Sequence[str] | str | None = option(
        None, "layers to adapt, by names or ends of names, or all-linear; by default queries and values", list
    )
    use_dora: bool | None = option(None, "learn the lengths of the weights' rows apart", bool)
    use_rslora: bool | None = option(None, "scale by the root of the rank", bool)
    quantize: str | None = option(None, "round the model beside it to int8 or int4", str)

    def __post_init__(self) -> None:
        if isinstance(self.lora, bool):
            raise ConfigError(f"lora is the rank of an adapter, such as lora=8, not {self.lora}.")
        said = [one.name for one in fields(self) if one.name != "lora" and getattr(self, one.name) is not None]
        if self.lora is None and said:
            raise ConfigError(f"{said[0]} is for an adapter; say its rank too, such as lora=8.")

    @property
    def loading(self) -> dict[str, Any]:
        """What ``from_pretrained`` is to be told."""
        return {} if self.quantize is None else {"quantize": self.quantize}

    @property
    def facts(self) -> dict[str, str]:
        """What reports say."""
        if self.lora is None:
            return {}
        beside = "" if self.quantize is None else f", beside weights in {self.quantize}"
        return {"adapter": f"{'DoRA' if self.use_dora else 'LoRA'} of rank {self.lora}{beside}"}

    def put_on(self, model: Any) -> None:
        """Put the adapter on a model; a head that is for the task alone is learnt whole."""
        if self.lora is None:
            return
        targets: Any = self.target_modules
        said: dict[str, Any] = {
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
            "use_dora": self.use_dora,
            "use_rslora": self.use_rslora,
            "target_modules": targets[0] if targets == ["all-linear"] else targets,
        }
        heads = {
            place.stored.split(".")[0]: None
            for name, place in parameter_places(model).items()
            if name.startswith("head.") and model.task not in _PRETRAINED
        }
        config = LoraConfig(
            r=self.lora,
            task_type=_TYPES.get(model.task),
            modules_to_save=list(heads) or None,
            **{name: value for name, value in said.items() if value is not None},
        )
        model.add_adapter(config)


def write_labels(model: Any, folder: Path) -> None:
    """Write the config of an adapted model beside its adapter, whose base model has other labels, or none."""
    values = {**model.config.to_dict(), "architectures": [type(model).__name__]}
    values.pop("quantization_config", None)
    config = type(model.config)(**{name: value for name, value in values.items() if name != "model_type"})
    write_file(folder / "config.json", config.to_json_string().encode())
