"""What every place of a checkpoint has in common, and the simplest of them: a local folder."""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headway.errors import CheckpointError, ConfigError
from headway.io.files import Start, read_object, read_start


@dataclass(frozen=True)
class Source(ABC):
    """A checkpoint's place: a local folder, or a repo on the hub at a revision.

    ``name`` is the place as the user gave it; ``config_name`` is the name of the configuration's file.
    """

    name: str
    config_name: str = field(default="config.json", kw_only=True)

    def find(self, *names: str) -> Path | None:
        """Return the first of the files ``names`` that exists (downloaded if it is on the hub), or None.

        Names are relative to the checkpoint's folder, with ``/``. They may come from untrusted files (shard
        indexes), so one that leads out of the folder raises CheckpointError before anything is touched.
        """
        for name in names:
            if not is_inside(name):
                raise CheckpointError(
                    f"The file name {name!r} of {self.name!r} leads out of the checkpoint's folder and is refused."
                )
        try:
            return next((path for name in names if (path := self._find(name)) is not None), None)
        except CheckpointError:
            raise
        except OSError as error:
            raise CheckpointError(f"{' or '.join(names)} of {self.name!r} cannot be read: {error.strerror}.") from error

    def require(self, *names: str) -> Path:
        """Return the first of the files ``names`` that exists; CheckpointError if there is none."""
        if (path := self.find(*names)) is None:
            raise CheckpointError(f"{self.name!r} has no {' or '.join(names)}: searched {self.where}.")
        return path

    def read_json(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object in the file ``name``, None if there is no such file; ConfigError if it is broken."""
        path = self.find(name)
        return None if path is None else read_object(path, ConfigError)

    def start_of(self, name: str, count: int) -> Start | None:
        """Return the first ``count`` bytes of the file ``name`` and its size, None if there is no such file.

        Of a file that is on the hub and not in the cache no more is downloaded.
        """
        if not is_inside(name):
            raise CheckpointError(
                f"The file name {name!r} of {self.name!r} leads out of the checkpoint's folder and is refused."
            )
        try:
            return self._start_of(name, count)
        except CheckpointError:
            raise
        except OSError as error:
            raise CheckpointError(f"{name} of {self.name!r} cannot be read: {error.strerror}.") from error

    @property
    @abstractmethod
    def where(self) -> str:
        """The place that is searched, in words, for messages."""

    @abstractmethod
    def files(self) -> tuple[str, ...]:
        """Return the names of the files that lie directly in the checkpoint's folder.

        For a repo this asks the hub, or the cache where the hub is out of reach.
        """

    @abstractmethod
    def tree(self) -> tuple[str, ...]:
        """Return the names of all files in the checkpoint's folder and in those below it, asked for as by ``files``."""

    @abstractmethod
    def _find(self, name: str) -> Path | None: ...

    def _start_of(self, name: str, count: int) -> Start | None:
        path = self._find(name)
        return None if path is None else read_start(path, count)


@dataclass(frozen=True)
class Folder(Source):
    """A checkpoint in the local folder ``folder``."""

    folder: Path

    @property
    def where(self) -> str:
        return str(self.folder)

    def files(self) -> tuple[str, ...]:
        return names_in(self.folder)

    def tree(self) -> tuple[str, ...]:
        return names_below(self.folder)

    def _find(self, name: str) -> Path | None:
        path = self.folder / name
        return path if path.is_file() else None


def is_inside(name: str) -> bool:
    """Return whether the relative file name stays inside its folder, on every operating system."""
    return (
        bool(name) and not re.search(r"[\\:\0]", name) and all(part not in ("", ".", "..") for part in name.split("/"))
    )


def names_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that lie directly in ``folder``, none if there is no such folder."""
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_file())) if folder.is_dir() else ()


def names_below(folder: Path) -> tuple[str, ...]:
    """Return the names of all files in ``folder`` and in those below it, relative to it."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return tuple(sorted(path.relative_to(folder).as_posix() for path in paths))
