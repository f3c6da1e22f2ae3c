"""Tensors of which every process writes its share, in files that any number of processes reads.

They are the distributed checkpoints of torch in the form whose files are safetensors: where a share lies is said in the
header of its file, and nothing is a pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from headway.errors import CheckpointError
from headway.logging import silenced


def write_shares(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write tensors, cut or not, into a new folder that all processes see; all are to call."""
    with silenced("torch.distributed.checkpoint"):
        save(dict(tensors), storage_writer=HuggingFaceStorageWriter(str(folder), save_distributed=True))


@torch.no_grad()
def read_shares(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Fill tensors, cut or not, in place; a process reads what it needs and waits for no other.

    Raises:
        CheckpointError: a tensor is not there, or has another shape.
    """
    reader = HuggingFaceStorageReader(str(folder))
    there: Mapping[str, Any] = reader.read_metadata().state_dict_metadata
    for name, tensor in tensors.items():
        if name not in there or there[name].size != tensor.shape:
            raise CheckpointError(f"{folder} holds no {name} of shape {list(tensor.shape)}; is it of another model?")
    with silenced("torch.distributed.checkpoint"):
        load({name: tensor.detach() for name, tensor in tensors.items()}, storage_reader=reader, no_dist=True)
