"""The older format of weights: a pickle by ``torch.save``, read without running anything that is in it."""

import pickle
import re
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headway.errors import WeightsError
from headway.io.files import damage

_WRAPPERS = ("state_dict", "model", "module")
_WANTS_CODE = re.compile(r"nsupported (global|GLOBAL|class)|call reduce|Can only (create|build)")  # in torch's words


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors in the ``torch.save`` file ``path``, memory-mapped where its format allows.

    A state dict inside a ``state_dict``, ``model`` or ``module`` entry is taken out of it; what is no tensor is left
    out. Raises WeightsError naming the file if it is damaged or holds anything but tensors and plain values, which
    are never executed.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from error
    if what := damage(head):
        raise WeightsError(f"{path} {what}.")
    try:
        # Files of torch < 1.6 are bare pickles, which cannot be mapped.
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged pickle can raise anything
        if isinstance(error, pickle.UnpicklingError) and _WANTS_CODE.search(str(error)):
            raise WeightsError(
                f"{path} is refused because it asks for code to be run on loading, where only tensors are expected: "
                "use a safetensors file of these weights, or convert it where you trust it."
            ) from error
        if tarfile.is_tarfile(path):
            raise WeightsError(
                f"{path} is in the tar format of torch before 0.2, which is not read without running code: convert it "
                "where you trust it."
            ) from error
        raise WeightsError(f"{path} is damaged or was not written by torch.save: download it again.") from error
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__} where a dict of tensors is expected.")
    return {
        name: value.detach()
        for name, value in content.items()
        if isinstance(name, str) and isinstance(value, torch.Tensor)
    }
