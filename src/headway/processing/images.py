"""``ImageProcessor``: images to ``pixel_values``, as a checkpoint's ``preprocessor_config.json`` says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from headway.config import take_source_keywords
from headway.errors import CheckpointError, ConfigError, InputError, did_you_mean
from headway.io.atomic import atomic_folder, write_file
from headway.io.hub import locate
from headway.io.source import Source
from headway.outputs import ModelOutput
from headway.processing.opening import opened

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FILE_NAME = "preprocessor_config.json"

# What holds where a file does not say.
DEFAULTS: dict[str, Any] = {
    "do_resize": True,
    "size": 224,
    "resample": 2,
    "do_center_crop": False,
    "crop_size": None,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
# A size of one number is that of the shorter side in files of these kinds, and of both sides in those of others.
_SHORTER_SIDE = ("CLIP", "Bit", "ConvNext", "LevitImage", "PoolFormer")


class Images(ModelOutput):
    """What an ``ImageProcessor`` gives."""

    pixel_values: Tensor  # [images, channels, height, width] float32

    def to(self, device: Any) -> Self:
        """The same on another device."""
        return type(self)(**{name: value.to(device) for name, value in self.items()})


class ImageProcessor:
    """Resizes, crops, rescales and normalises images.

    Args:
        **settings: the keys of ``preprocessor_config.json``; ``size`` and ``crop_size`` may be a number, ``[height,
            width]``, ``{"height": ..., "width": ...}`` or ``{"shortest_edge": ...}``. Others are kept and written back.

    Raises:
        ConfigError: a size is none of these.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        kind = str(settings.get("image_processor_type") or settings.get("feature_extractor_type") or "")
        values = {name: settings.get(name, default) for name, default in DEFAULTS.items()}
        self.size = _size("size", values["size"], kind.startswith(_SHORTER_SIDE))
        crop = values["crop_size"] if values["crop_size"] is not None else values["size"]
        self.crop_size = _size("crop_size", crop, False) if values["do_center_crop"] else None
        self.resample = int(values["resample"])
        self.do_resize = bool(values["do_resize"])
        self.factor = float(values["rescale_factor"]) if values["do_rescale"] else 1.0
        mean, std = (np.atleast_1d(np.asarray(values[name], np.float32)) for name in ("image_mean", "image_std"))
        self.mean, self.std = (mean, std) if values["do_normalize"] else (np.zeros_like(mean), np.ones_like(std))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Read the settings of a folder or a hub id; ``kwargs`` override them.

        Raises:
            CheckpointError: the checkpoint has none.
            InputError: an argument is unknown.
        """
        source = locate(pretrained_model_name_or_path, **take_source_keywords(kwargs))
        values = settings_in(source)
        if values is None:
            raise CheckpointError(f"{source.name!r} has no {FILE_NAME}: searched {source.where}.")
        _check(kwargs, values)
        return cls(**{**values, **kwargs})

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write ``preprocessor_config.json`` into a folder, which is made where it is missing."""
        with atomic_folder(Path(save_directory)) as folder:
            write_file(folder / FILE_NAME, (json.dumps(self.settings, indent=2, sort_keys=True) + "\n").encode())

    def __call__(self, images: Any, return_tensors: str = "pt", **settings: Any) -> Images:
        """Prepare one image or a list of them.

        Args:
            images: each as ``processing.opening.opened`` takes it: a PIL image, a path, a URL, an array of bytes.
            return_tensors: "pt" or "np".
            **settings: in place of its own, for this call.

        Raises:
            InputError: something else, or ``return_tensors`` or a setting is unknown.
            MissingExtraError: Pillow is not installed.
        """
        if settings:
            _check(settings, self.settings)
            return type(self)(**{**self.settings, **settings})(images, return_tensors)
        if return_tensors not in ("pt", "np"):
            raise InputError(f"return_tensors={return_tensors!r} is unknown; use 'pt' or 'np'.")
        given = list(images) if isinstance(images, list | tuple) else [images]
        if not given:
            raise InputError("There is no image; give one or more.")
        pixels = np.stack([self._pixels(opened(image)) for image in given])
        if return_tensors == "np":
            return Images(pixel_values=pixels)
        import torch

        return Images(pixel_values=torch.from_numpy(pixels))

    def __repr__(self) -> str:
        return f"ImageProcessor({', '.join(f'{name}={value!r}' for name, value in self.settings.items())})"

    def _pixels(self, image: Image) -> np.ndarray[Any, Any]:
        """``[channels, height, width]`` float32."""
        image = image.convert("L" if len(self.mean) == 1 else "RGB")
        if self.do_resize:
            height, width = _resized(self.size, image)
            image = image.resize((width, height), self.resample)
        if self.crop_size is not None:
            image = _cropped(image, *_resized(self.crop_size, image))
        values = np.asarray(image, np.float32).reshape(image.height, image.width, -1)
        scaled = (values.astype(np.float64) * self.factor).astype(np.float32)
        normalised: np.ndarray[Any, Any] = ((scaled - self.mean) / self.std).transpose(2, 0, 1)
        return np.ascontiguousarray(normalised)


# One class serves all checkpoints.
AutoImageProcessor = ImageProcessor

Size = dict[str, int]


def settings_in(source: Source) -> dict[str, Any] | None:
    """The settings of images that a checkpoint holds; None where there are none."""
    values = source.read_json(FILE_NAME)
    if values is None:
        values = (source.read_json("processor_config.json") or {}).get("image_processor")
    return values


def _check(settings: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in settings:
        if name not in DEFAULTS and name not in known:
            raise InputError(f"ImageProcessor has no setting {name!r}.{did_you_mean(name, DEFAULTS)}")


def _size(name: str, given: Any, is_shorter_side: bool) -> Size:
    """A size in its two forms: ``height`` and ``width``, or ``shortest_edge``."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        edge = int(given)
        return {"shortest_edge": edge} if is_shorter_side else {"height": edge, "width": edge}
    if isinstance(given, list | tuple) and len(given) == 2:
        return {"height": int(given[0]), "width": int(given[1])}
    if isinstance(given, dict):
        for names in (("height", "width"), ("shortest_edge",)):
            if all(isinstance(given.get(key), int) for key in names):
                return {key: given[key] for key in names}
    raise ConfigError(
        f"{name} of the image processor is {given!r}; give a number, [height, width], a dictionary of height and "
        "width, or one of shortest_edge."
    )


def _resized(size: Size, image: Image) -> tuple[int, int]:
    """Height and width of ``image`` in ``size``."""
    if "height" in size:
        return size["height"], size["width"]
    edge, shorter = size["shortest_edge"], min(image.size)
    width, height = (edge if side == shorter else int(edge * side / shorter) for side in image.size)
    return height, width


def _cropped(image: Image, height: int, width: int) -> Image:
    """The middle of ``image``, with black around it where it is smaller."""
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))
