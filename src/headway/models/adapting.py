"""Adapters as methods of models, by the names that users know; what does the work is in ``headway.adapters``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from headway.adapters.config import LoraConfig


class Adaptable:
    """A model that takes adapters: one or more, in use alone or one after another."""

    _adapters: Any = None

    @property
    def peft_config(self) -> dict[str, LoraConfig]:
        """The config of each adapter, by name."""
        return {} if self._adapters is None else dict(self._adapters.configs)

    def add_adapter(self, adapter_config: LoraConfig, adapter_name: str = "default") -> None:
        """Put a new adapter beside the model's layers; it alone is in use and learns. See ``headway.add_adapter``."""
        from headway.adapters.add import add_adapter

        add_adapter(self, adapter_config, adapter_name)

    def load_adapter(
        self,
        peft_model_id: Any,
        adapter_name: str = "default",
        *,
        is_trainable: bool = False,
        **places: Any,
    ) -> None:
        """Read an adapter from a folder or a hub repo and use it alone. See ``headway.load_adapter``."""
        from headway.adapters.load import load_adapter

        load_adapter(self, peft_model_id, adapter_name, is_trainable, **places)

    def set_adapter(self, adapter_name: str | Sequence[str]) -> None:
        """Use these adapters, one after another, and no others."""
        from headway.adapters.add import set_adapter

        set_adapter(self, adapter_name)

    def active_adapters(self) -> list[str]:
        """The names of the adapters that are in use, or were before ``disable_adapters``.

        Raises:
            InputError: the model has no adapter.
        """
        from headway.adapters.add import state_of

        return list(state_of(self).active)

    def disable_adapters(self) -> None:
        """Leave the model as it was without adapters; ``enable_adapters`` brings them back."""
        from headway.adapters.add import enable_adapters

        enable_adapters(self, False)

    def enable_adapters(self) -> None:
        """Use the adapters again that were in use before ``disable_adapters``."""
        from headway.adapters.add import enable_adapters

        enable_adapters(self)

    def delete_adapter(self, adapter_names: str | Sequence[str]) -> None:
        """Take adapters away; without its last one, the model learns again as it did before the first."""
        from headway.adapters.add import delete_adapter

        delete_adapter(self, adapter_names)

    def _check_plain(self, what: str) -> None:
        from headway.adapters.merge import check_plain

        check_plain(self, what)

    def _save_adapter(self, folder: str | os.PathLike[str]) -> None:
        from headway.adapters.save import save_adapter

        save_adapter(self, folder)
