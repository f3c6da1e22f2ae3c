"""Where the files of a checkpoint are: a local folder, or a repo on the hub with its cache.

The cache is asked first and the hub only for what it does not hold, so a cached model opens no socket. A source is
pinned to one commit: all files come from it, however the branch moves meanwhile. A branch that was downloaded once
is not polled for updates; pass ``force_download=True`` to take its newest commit.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from headway.errors import CheckpointError, InputError, did_you_mean
from headway.io.files import Start, read_start
from headway.io.source import Folder, Source, is_inside, names_below

__all__ = ["Folder", "Repo", "Source", "locate"]

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPO = re.compile(rf"(?!.*(?:--|\.\.))(?=.{{1,96}}$)(?:{_PART}/)?{_PART}")

# Repos that lived at the hub's root until 2024 and redirect since: caches hold them under either name.
_OWNERS = (
    (re.compile(r"(openai-gpt|gpt2(-medium|-large|-xl)?|roberta-\w+-openai-detector)$"), "openai-community"),
    (re.compile(r"distil(bert-|gpt2$|roberta-base$)"), "distilbert"),
    (re.compile(r"(xlm-)?roberta-|xlm-(mlm|clm)-"), "FacebookAI"),
    (re.compile(r"bert-(base|large)-"), "google-bert"),
    (re.compile(r"t5-(small|base|large|3b|11b)$"), "google-t5"),
    (re.compile(r"albert-\w+-v[12]$"), "albert"),
    (re.compile(r"xlnet-\w+-cased$"), "xlnet"),
    (re.compile(r"transfo-xl-wt103$"), "transfo-xl"),
    (re.compile(r"camembert-base$"), "almanach"),
    (re.compile(r"ctrl$"), "Salesforce"),
)


@dataclass(frozen=True)
class Repo(Source):
    """A checkpoint in the repo ``id`` on the hub at ``revision``, in the cache folder ``cache``."""

    id: str
    revision: str
    subfolder: str
    cache: Path
    token: str | bool | None = field(repr=False)
    offline: bool
    force_download: bool
    endpoint: str | None

    @property
    def where(self) -> str:
        place = f"revision {self.revision!r} of the hub repo {self.id!r}"
        failure = self.__dict__.get("_listing")  # words for a message make no request of their own
        if self.offline:
            place += f" in the cache {self.cache}, with the network switched off by local_files_only or HF_HUB_OFFLINE"
        elif isinstance(failure, CheckpointError):
            place += f" in the cache {self.cache}, since the hub could not be asked: {str(failure).rstrip('.')}"
        return place

    def files(self) -> tuple[str, ...]:
        return tuple(name for name in self.tree() if "/" not in name)

    def tree(self) -> tuple[str, ...]:
        if not isinstance(listing := self._listing, _Listing):
            return tuple(sorted({name for folder in self._snapshots for name in names_below(folder / self.subfolder)}))
        start = f"{self.subfolder}/" if self.subfolder else ""
        return tuple(sorted(name.removeprefix(start) for name in listing.files if name.startswith(start)))

    def _find(self, name: str) -> Path | None:
        name = self._full(name)
        if not self._is_settled(name):
            self._done[name] = self._download(name, listing) if (listing := self._offered(name)) else None
        return self._done[name]

    def _start_of(self, name: str, count: int) -> Start | None:
        name = self._full(name)
        if self._is_settled(name):
            path = self._done[name]
            return None if path is None else read_start(path, count)
        listing = self._offered(name)
        return self._download_start(name, listing, count) if listing else None

    def _full(self, name: str) -> str:
        return f"{self.subfolder}/{name}" if self.subfolder else name

    def _is_settled(self, name: str) -> bool:
        """Is it known, without the hub, where the file ``name`` is, or that there is none? ``_done`` then says."""
        if name not in self._done and not self.force_download:
            for snapshot in self._snapshots:
                if (snapshot / name).is_file():
                    self._done[name] = snapshot / name
                elif (snapshot.parents[1] / ".no_exist" / snapshot.name / name).is_file():
                    self._done[name] = None
                if name in self._done:
                    break
        return name in self._done

    def _offered(self, name: str) -> "_Listing | None":
        """The hub's listing if it holds the file ``name``."""
        if not isinstance(listing := self._listing, _Listing):
            return None
        if name not in listing.files:
            self._note_absent(name, listing)
            return None
        return listing

    @cached_property
    def _done(self) -> dict[str, Path | None]:
        """Where files were found already, so that ``force_download`` takes each once."""
        return {}

    @cached_property
    def _repos(self) -> dict[str, Path]:
        """The ids under which the cache may hold the repo, with their cache folders."""
        return {id: self.cache / f"models--{id.replace('/', '--')}" for id in (self.id, *_other_ids(self.id))}

    @cached_property
    def _pin(self) -> tuple[str, str] | None:
        """The repo id and the commit that the cache knows for the revision."""
        commit = self.revision
        for id, folder in self._repos.items():
            with suppress(OSError):
                if not _COMMIT.fullmatch(self.revision):
                    commit = (folder / "refs" / self.revision).read_text().strip()
                if commit and (folder / "snapshots" / commit).is_dir():  # else the cache was cleared
                    return id, commit
        return None

    @cached_property
    def _snapshots(self) -> list[Path]:
        """The cached folders of the pinned commit, under each of the repo's ids."""
        if self._pin is None:
            return []
        return [folder / "snapshots" / self._pin[1] for folder in self._repos.values()]

    @cached_property
    def _listing(self) -> "_Listing | CheckpointError":
        """What the hub holds at the pinned commit, in one request; the error if only the cache can be asked.

        The error is raised if the cache knows nothing of the repo.
        """
        if self.offline:
            return CheckpointError("the network is switched off.")
        id, revision = self.id, self.revision
        if self._pin is not None and not self.force_download:
            id, revision = self._pin
        from huggingface_hub import HfApi

        try:
            info = HfApi(endpoint=self.endpoint, token=self.token).model_info(id, revision=revision, timeout=10)
            if not _COMMIT.fullmatch(info.sha or ""):  # it becomes a part of paths
                raise ValueError("it does not name the commit.")
            return _Listing(id, str(info.sha), frozenset(file.rfilename for file in info.siblings or ()))
        except Exception as error:
            failure = self._explain(error)
            if self.force_download or not self._snapshots:
                raise failure from error
            return failure

    def _download(self, name: str, listing: "_Listing") -> Path:
        from huggingface_hub import hf_hub_download

        try:
            path = hf_hub_download(
                listing.id,
                name,
                revision=listing.commit,
                cache_dir=self.cache,
                token=self.token,
                force_download=self.force_download,
                endpoint=self.endpoint,
            )
        except Exception as error:
            raise self._explain(error, name) from error
        self._note_commit(listing)
        return Path(path)

    def _download_start(self, name: str, listing: "_Listing", count: int) -> Start:
        import huggingface_hub

        hub: Any = huggingface_hub.utils
        url = huggingface_hub.hf_hub_url(listing.id, name, revision=listing.commit, endpoint=self.endpoint)
        headers = hub.build_hf_headers(token=self.token, headers={"Range": f"bytes=0-{count - 1}"})
        try:
            # A stream, since a server that knows no ranges sends the whole file.
            with hub.get_session().stream("GET", url, headers=headers, follow_redirects=True, timeout=10) as response:
                hub.hf_raise_for_status(response)
                size = int(
                    response.headers.get("Content-Range", "").rpartition("/")[2] or response.headers["Content-Length"]
                )
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) >= count:
                        break
        except Exception as error:
            raise self._explain(error, name) from error
        return Start(data[:count], size)

    def _note_absent(self, name: str, listing: "_Listing") -> None:
        """Leave the cache's mark that the commit has no file ``name``, so that it is not asked for again."""
        mark = self._repos[listing.id] / ".no_exist" / listing.commit / name
        with suppress(OSError):  # a read-only cache only costs a request next time
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        self._note_commit(listing)

    def _note_commit(self, listing: "_Listing") -> None:
        """Let the cache know which commit the revision is."""
        ref = self._repos[listing.id] / "refs" / self.revision
        with suppress(OSError):
            if not _COMMIT.fullmatch(self.revision) and (not ref.is_file() or ref.read_text() != listing.commit):
                ref.parent.mkdir(parents=True, exist_ok=True)
                ref.write_text(listing.commit)

    def _explain(self, error: Exception, name: str | None = None) -> CheckpointError:
        """Say in one sentence why the hub did not give the repo, or the file ``name`` of it."""
        from huggingface_hub import constants, errors
        from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # its documented place

        host = self.endpoint or constants.ENDPOINT
        what = f"the file {name!r} of {self.id!r}" if name else f"the repo {self.id!r}"
        response = getattr(error, "response", None)
        status = getattr(response, "status_code", None)
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, httpx.TransportError):
            cause = cause.__cause__
        if isinstance(error, errors.GatedRepoError) or status == 403:
            return CheckpointError(
                f"The repo {self.id!r} is gated and you have no access yet: ask for it at {host}/{self.id}, then run "
                "`hf auth login` or pass token=."
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return CheckpointError(
                f"The repo {self.id!r} on {host} has no revision {self.revision!r}: give a branch, tag or commit of it."
            )
        if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
            return CheckpointError(
                f"{self.name!r} is neither a local folder nor a repo on {host} that you may read: check the spelling, "
                "or, if the repo is private, run `hf auth login` or pass token=."
            )
        if status is not None:
            return CheckpointError(f"The hub {host} answered {status} when asked for {what}: try again later.")
        if cause is not None:
            return CheckpointError(
                f"The hub {host} cannot be reached for {what}, and the cache {self.cache} does not hold it: check the "
                f"connection ({type(cause).__name__})."
            )
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return CheckpointError(f"The hub {host} did not give {what}: {reason}")


@dataclass(frozen=True)
class _Listing:
    """The files of a repo at a commit."""

    id: str
    commit: str
    files: frozenset[str]


def locate(
    name: str | os.PathLike[str],
    *,
    revision: str | None = None,
    subfolder: str = "",
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
    endpoint: str | None = None,
) -> Source:
    """Return the source that ``name`` stands for: a local folder, a local JSON file, or a repo id on the hub.

    A local folder wins over a repo of the same name. A JSON file is the configuration of the folder it lies in.
    Nothing is read or downloaded yet. Raises CheckpointError if ``name`` is none of the three, and InputError if the
    arguments contradict each other.
    """
    subfolder = subfolder.strip("/")
    if subfolder and not is_inside(subfolder):
        raise CheckpointError(f"subfolder={subfolder!r} must be a folder inside the checkpoint, without '..'.")
    text = os.fspath(name)
    path = Path(os.path.expanduser(text))
    if text and path.is_dir():
        folder = path / subfolder
        if not folder.is_dir():
            near = did_you_mean(subfolder, (entry.name for entry in path.iterdir() if entry.is_dir()))
            raise CheckpointError(f"The folder {text!r} has no subfolder {subfolder!r}.{near}")
        return Folder(text, folder)
    if path.is_file():
        if path.suffix != ".json":
            raise CheckpointError(
                f"{text!r} is a file: give the folder it lies in, or the path of a JSON configuration."
            )
        return Folder(text, path.parent, config_name=path.name)
    if not isinstance(name, str) or _looks_like_path(text):
        parent = path.parent
        near = did_you_mean(path.name, (entry.name for entry in parent.iterdir())) if parent.is_dir() else ""
        raise CheckpointError(f"The folder {text!r} does not exist.{near}")
    if not _REPO.fullmatch(text):
        raise CheckpointError(
            f"{text!r} is neither a local folder nor a repo id: an id is 'owner/name' or 'name', of letters, digits, "
            "'-', '_' and '.'."
        )
    from huggingface_hub import constants

    revision = revision or "main"
    if not is_inside(revision):
        raise CheckpointError(f"revision={revision!r} must be a branch, a tag or a commit of {text!r}.")
    offline = local_files_only or constants.is_offline_mode()
    if offline and force_download:
        raise InputError(
            "force_download=True needs the network, which local_files_only or HF_HUB_OFFLINE switches off."
        )
    return Repo(
        text,
        id=text,
        revision=revision,
        subfolder=subfolder,
        cache=Path(cache_dir or constants.HF_HUB_CACHE).expanduser(),
        token=token,
        offline=offline,
        force_download=force_download,
        endpoint=endpoint.rstrip("/") if endpoint else None,
    )


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or "\\" in text or (text.count("/") > 1 and "://" not in text)


def _other_ids(id: str) -> tuple[str, ...]:
    """Return the other id under which a cache may hold the repo ``id``."""
    owner, _, bare = id.rpartition("/")
    moved_to = next((home for pattern, home in _OWNERS if pattern.match(bare)), None)
    if moved_to is None or owner not in ("", moved_to):
        return ()
    return (bare,) if owner else (f"{moved_to}/{bare}",)
