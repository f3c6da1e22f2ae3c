"""``Processor``: the inputs of models that read both texts and images."""

from __future__ import annotations

import os
from typing import Any, Self

from headway.auto.tokenizer import AutoTokenizer
from headway.config import take_source_keywords
from headway.errors import InputError
from headway.io.hub import locate
from headway.processing.images import DEFAULTS, ImageProcessor, settings_in
from headway.tokenization.encoding import BatchEncoding
from headway.tokenization.readers import has_vocabulary
from headway.tokenization.tokenizer import Tokenizer


class Processor:
    """A tokenizer and an image processor under one roof.

    Args:
        image_processor: makes images ``pixel_values``.
        tokenizer: makes texts ``input_ids`` and what belongs to them.
    """

    def __init__(self, image_processor: ImageProcessor, tokenizer: Tokenizer) -> None:
        self.image_processor, self.tokenizer = image_processor, tokenizer

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Self:
        """Load both of a checkpoint.

        Args:
            pretrained_model_name_or_path: a folder, or the id of a repo on the hub.
            **kwargs: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

        Raises:
            CheckpointError: there is no such checkpoint, or it has no settings of images.
            TokenizerError: it has no tokenizer that can be read.
            InputError: an argument is unknown.
        """
        kwargs.pop("use_fast", None)
        images = ImageProcessor.from_pretrained(pretrained_model_name_or_path, **kwargs)
        return cls(images, AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **kwargs))

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the files of both into a folder, which is made where it is missing."""
        self.image_processor.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)

    def __call__(
        self, images: Any = None, text: Any = None, *, return_tensors: str | None = None, **options: Any
    ) -> BatchEncoding:
        """The inputs of a model.

        Args:
            images: one or several, as ``ImageProcessor`` takes them.
            text: one or several, as the tokenizer takes them.
            return_tensors: "pt" or "np"; left out, texts become lists, and images a tensor.
            **options: settings of the image processor, and arguments of the tokenizer such as ``padding=True``.

        Returns:
            ``input_ids`` and what the tokenizer gives besides, and ``pixel_values``, of what there is.

        Raises:
            InputError: there is neither, or an option is unknown.
        """
        if images is None and text is None:
            raise InputError("There is nothing to process; give images, text or both.")
        settings = {name: options.pop(name) for name in tuple(options) if name in DEFAULTS}
        found = BatchEncoding() if text is None else self.tokenizer(text, return_tensors=return_tensors, **options)
        if images is not None:
            found["pixel_values"] = self.image_processor(images, return_tensors or "pt", **settings).pixel_values
        return found

    def decode(self, *args: Any, **kwargs: Any) -> Any:
        """The tokenizer's ``decode``."""
        return self.tokenizer.decode(*args, **kwargs)

    def batch_decode(self, *args: Any, **kwargs: Any) -> Any:
        """The tokenizer's ``batch_decode``."""
        return self.tokenizer.batch_decode(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Processor(image_processor={self.image_processor!r}, tokenizer={self.tokenizer!r})"


class AutoProcessor:
    """Loads what makes a checkpoint's inputs: a tokenizer, an image processor, or both as a ``Processor``."""

    def __init__(self) -> None:
        raise InputError("AutoProcessor has no instances: use AutoProcessor.from_pretrained(name).")

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Processor | ImageProcessor | Tokenizer:
        """Load it; arguments and errors are those of ``Processor.from_pretrained``."""
        place = {name: kwargs[name] for name in kwargs if name != "use_fast"}
        source = locate(pretrained_model_name_or_path, **take_source_keywords(dict(place)))
        kind: Any = AutoTokenizer
        if settings_in(source) is not None:
            kind = Processor if has_vocabulary(source) else ImageProcessor
        found: Processor | ImageProcessor | Tokenizer = kind.from_pretrained(pretrained_model_name_or_path, **place)
        return found
