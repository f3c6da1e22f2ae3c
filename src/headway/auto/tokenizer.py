"""AutoTokenizer: the tokenizer of any checkpoint."""

import os
from typing import Any, ClassVar

from headway.errors import InputError
from headway.tokenization.loading import load, split
from headway.tokenization.tokenizer import Tokenizer


class AutoTokenizer:
    """Loads the tokenizer of a checkpoint; it has no instances."""

    _registered: ClassVar[dict[str, type[Any]]] = {}

    def __init__(self) -> None:
        raise InputError("AutoTokenizer has no instances: use AutoTokenizer.from_pretrained(name).")

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any) -> Tokenizer:
        """Load the tokenizer of a checkpoint.

        ``tokenizer.json`` is authoritative: the ids are those that the ``tokenizers`` library itself gives. Without it,
        the family's own files are read: ``vocab.txt``, ``vocab.json`` with ``merges.txt``, sentencepiece models,
        Marian's pair of them, ``tekken.json`` or tiktoken's lines.

        Args:
            pretrained_model_name_or_path: a folder, or the id of a repo on the hub.
            revision, subfolder, cache_dir, token, local_files_only, force_download: where and how to find it.
            kwargs: settings that replace the checkpoint's, such as ``padding_side="left"``, ``pad_token="<pad>"``,
                ``model_max_length=512``, ``do_lower_case=False``, ``add_prefix_space=True``, ``src_lang="de_DE"``.

        Raises:
            CheckpointError: there is no such checkpoint.
            TokenizerError: it has no tokenizer that can be read, or its files contradict each other.
            InputError: an argument does not exist or has no sense.
        """
        if registered := cls._registered_for(pretrained_model_name_or_path, kwargs):
            tokenizer: Tokenizer = registered.from_pretrained(pretrained_model_name_or_path, **kwargs)
            return tokenizer
        return load(Tokenizer, pretrained_model_name_or_path, **kwargs)

    @classmethod
    def register(
        cls,
        config_class: type[Any] | str,
        tokenizer_class: type[Any] | None = None,
        fast_tokenizer_class: type[Any] | None = None,
        exist_ok: bool = False,
    ) -> None:
        """Let checkpoints of a model type, or with that tokenizer class in their settings, load as ``tokenizer_class``.

        Args:
            config_class: a configuration class, or its ``model_type``.
            tokenizer_class: a class with ``from_pretrained``; ``fast_tokenizer_class`` is another name for it.
            exist_ok: whether to replace what is registered already.
        """
        new = fast_tokenizer_class or tokenizer_class
        model_type = config_class if isinstance(config_class, str) else getattr(config_class, "model_type", None)
        if not model_type or new is None or not hasattr(new, "from_pretrained"):
            raise InputError(
                "AutoTokenizer.register takes a configuration class with a model_type, and a tokenizer class with "
                "from_pretrained."
            )
        for name in (model_type, new.__name__):
            if cls._registered.get(name, new) is not new and not exist_ok:
                raise InputError(f"A tokenizer is registered for {name!r} already: pass exist_ok=True to replace it.")
        cls._registered.update({model_type: new, new.__name__: new})

    @classmethod
    def _registered_for(cls, name: str | os.PathLike[str], kwargs: dict[str, Any]) -> type[Any] | None:
        if not cls._registered:
            return None
        from headway.io.hub import locate

        source = locate(name, **split(kwargs)[0])
        kinds = (
            (source.read_json("tokenizer_config.json") or {}).get("tokenizer_class"),
            (source.read_json(source.config_name) or {}).get("model_type"),
        )
        return next((cls._registered[kind] for kind in kinds if kind in cls._registered), None)
