"""What of a training every process writes its share of: the model's tensors, and what the optimizer keeps of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from headway.auto.config import AutoConfig
from headway.models.assemble import model_class
from headway.models.classes import saved_task
from headway.models.load import ties
from headway.models.pretrained import PreTrainedModel
from headway.parallel.files import read_shares, write_shares
from headway.parallel.replicas import Replicas
from headway.training.checkpoint import SHARES

_CUT = "cut"


def write_training(model: nn.Module, optimizer: Optimizer | None, folder: Path, group: Replicas) -> dict[str, Any]:
    """Let every process write its share into a new folder; returns the optimizer's state but for what is there."""
    group.share_weights(model)
    tensors = {f"model.{name}": tensor for name, tensor in own_tensors(model).items()}
    state: dict[str, Any] = {"state": {}} if optimizer is None else optimizer.state_dict()
    entries: dict[int, dict[str, Any]] = state["state"]
    cut = {
        (number, name): value
        for number, entry in entries.items()
        for name, value in entry.items()
        if isinstance(value, Tensor) and value.dim()
    }
    write_shares(tensors | {_key(*place): value for place, value in cut.items()}, folder)
    rest = {
        number: {name: value for name, value in entry.items() if (number, name) not in cut}
        for number, entry in entries.items()
    }
    return {**state, "state": rest, _CUT: [list(place) for place in cut]}


def read_model(model: nn.Module, folder: Path) -> None:
    """Give a model, cut or not, the tensors that ``write_training`` wrote; raises ``CheckpointError``."""
    read_shares({f"model.{name}": tensor for name, tensor in own_tensors(model).items()}, folder)


def read_state(optimizer: Optimizer, state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An optimizer's state that ``write_training`` returned, with what lies in the files."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    cut = {(number, name): torch.zeros_like(parameters[number]) for number, name in state[_CUT]}
    read_shares({_key(*place): value for place, value in cut.items()}, folder)
    entries = {number: dict(entry) for number, entry in state["state"].items()}
    for (number, name), value in cut.items():
        entries.setdefault(number, {})[name] = value
    return {"state": entries, "param_groups": state["param_groups"]}


def own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a model by name, each once."""
    state = model.state_dict(keep_vars=True)
    tied = ties(state)
    return {name: tensor.detach() for name, tensor in state.items() if name not in tied}


def whole_model(checkpoint: Path) -> PreTrainedModel:
    """The model of a checkpoint whose weights processes wrote shares of; raises ``CheckpointError``."""
    config = AutoConfig.from_pretrained(checkpoint)
    model = model_class(config.model_type, saved_task(config))(config)
    read_model(model.train(), checkpoint / SHARES)
    return model.eval()


def _key(number: int, name: str) -> str:
    return f"optimizer.{number}.{name}"
