"""Checkpoints of a training: ``checkpoint-N``, whole or not there at all, and as it was written or not used."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from headway.adapters.load import restore_adapter
from headway.adapters.save import save_adapter
from headway.errors import CheckpointError
from headway.io.atomic import atomic_folder, write_file
from headway.io.hub import Folder
from headway.io.save import save_weights
from headway.io.weights import open_weights
from headway.models.load import Loader, ties
from headway.models.pretrained import PreTrainedModel
from headway.parallel.replicas import Replicas
from headway.training.plain import read_plain, write_plain
from headway.training.state import TrainerState

logger = logging.getLogger("headway")

STATE, REST, MANIFEST, SHARES = "trainer_state.json", "training_state", "manifest.json", "shares"
_NAME = re.compile(r"checkpoint-(\d+)")
_GONE = ".removed"


def write_checkpoint(
    folder: Path, parts: Mapping[str, Callable[[str], Any]], state: TrainerState, rest: Mapping[str, Any] | None
) -> None:
    """Write a checkpoint in one step: whoever looks, or is killed, sees all of it or nothing.

    Args:
        parts: what saves itself into a folder that it is given: the model, the tokenizer.
        rest: what resuming needs besides; None for a checkpoint that is only to be loaded.
    """
    with atomic_folder(folder) as draft:
        for save in parts.values():
            with TemporaryDirectory(dir=draft, prefix=".part-") as part:
                inner = Path(part) / "part"  # what saves itself locks the folder above
                save(str(inner))
                for path in inner.iterdir():
                    shutil.rmtree(draft / path.name, ignore_errors=True)  # a folder of the same checkpoint
                    path.replace(draft / path.name)
        state.save_to_json(draft / STATE)
        if rest is not None:
            write_plain(draft, REST, rest)
        files = sorted(path for path in draft.rglob("*") if path.is_file() and path.name != MANIFEST)
        facts = {str(path.relative_to(draft)): [path.stat().st_size, _digest(path)] for path in files}
        write_file(draft / MANIFEST, (json.dumps(facts, indent=2) + "\n").encode())


def damage(folder: Path) -> str | None:
    """What is wrong with the checkpoint in ``folder``; None where every file is as it was written."""
    try:
        facts = json.loads((folder / MANIFEST).read_text())
        for name, (size, digest) in facts.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != size or _digest(path) != digest:
                return f"{name} is damaged"
    except (OSError, ValueError, TypeError, AttributeError):
        return f"{MANIFEST} is missing or damaged"
    return None


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a training, the oldest first."""
    found = [(int(match[1]), path) for path in folder.glob("checkpoint-*") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def newest(folder: Path) -> Path | None:
    """The newest checkpoint that is whole; those that are not are named in a warning and passed over."""
    for path in reversed(checkpoints(folder)):
        wrong = damage(path)
        if wrong is None:
            return path
        logger.warning("%s is passed over: %s.", path, wrong)
    return None


def chosen(resume: str | bool | Path | None, folder: Path) -> Path | None:
    """The checkpoint that ``resume_from_checkpoint`` asks for; raises ``CheckpointError`` where it is not whole."""
    if resume is None or resume is False:
        return None
    if resume is True or resume == "auto":
        found = newest(folder)
        if found is None and resume is True:
            raise CheckpointError(f"{folder} holds no whole checkpoint to resume from; 'auto' would start anew.")
        return found
    path = Path(resume)
    wrong = damage(path) if path.is_dir() else "there is no such folder"
    if wrong is not None:
        raise CheckpointError(f"{path} cannot be resumed from: {wrong}.")
    return path


def remove_old(folder: Path, limit: int, best: str | None) -> None:
    """Leave ``limit`` checkpoints: the best one, the newest one, and the newest of the others."""
    for path in folder.glob(f".*{_GONE}"):
        shutil.rmtree(path, ignore_errors=True)
    there = checkpoints(folder)
    kept = {path for path in there if path == there[-1] or (best is not None and path == Path(best))}
    others = [path for path in there if path not in kept]
    for path in others[: max(0, len(there) - limit)]:
        # Under another name first, so that nobody takes what is left of it for a checkpoint.
        gone = path.with_name(f".{path.name}{_GONE}")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def read_rest(folder: Path) -> dict[str, Any]:
    """What resuming needs besides weights and state; raises ``CheckpointError``."""
    if not (folder / f"{REST}.json").is_file():
        raise CheckpointError(
            f"{folder} holds weights alone (save_only_model=True); load the model from it and start a training."
        )
    found: dict[str, Any] = read_plain(folder, REST)
    return found


def saver(model: nn.Module) -> Callable[[str], Any]:
    """What writes the weights of a model into a folder: its own ``save_pretrained``, or its tensors by name.

    Of a model with adapters those that are in use are written: one as ``save_adapter`` does it, several each into a
    folder of its name.
    """
    if _is_adapted(model):

        def adapters(folder: str) -> None:
            for name, place in _adapter_places(model, Path(folder)).items():
                save_adapter(model, place, name)

        return adapters
    own = getattr(model, "save_pretrained", None)
    if own is not None:
        save: Callable[[str], Any] = own
        return save

    def plain(folder: str) -> None:
        state = model.state_dict(keep_vars=True)
        tied = ties(state)
        save_weights({name: value.detach() for name, value in state.items() if name not in tied}, Path(folder))

    return plain


@torch.no_grad()
def restore_weights(model: nn.Module, folder: Path, group: Replicas) -> None:
    """Give the tensors of ``model`` the values that ``saver`` wrote, in place; raises ``CheckpointError``.

    Of a model with adapters those are all, as nothing else learns.
    """
    if _is_adapted(model):
        for name, place in _adapter_places(model, folder).items():
            restore_adapter(model, place, name)
        return
    weights = open_weights(Folder(str(folder), folder))
    state = model.state_dict(keep_vars=True)
    if isinstance(model, PreTrainedModel):
        loader = Loader(model, model.parts(), weights, str(folder))
        loader.run()
        found: Mapping[str, Any] = loader.found
    else:
        found = weights
    tied = ties(state)
    for name, tensor in state.items():
        if name in tied:
            continue
        if name not in found or found[name].shape != tensor.shape:
            raise CheckpointError(f"{folder} holds no {name} of shape {list(tensor.shape)}; is it of another model?")
        tensor.copy_(group.share(found[name], tensor))


def restore_optimizer(optimizer: Optimizer, state: dict[str, Any], group: Replicas) -> None:
    """Load the state of an optimizer; its tensors lie in memory as the parameters do, which fused kernels rely on."""
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(group.share(value, parameter))


def _is_adapted(model: nn.Module) -> bool:
    return isinstance(model, PreTrainedModel) and bool(model.peft_config)


def _adapter_places(model: Any, folder: Path) -> dict[str, Path]:
    active = model.active_adapters()
    return {name: folder / name if len(active) > 1 else folder for name in active}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
