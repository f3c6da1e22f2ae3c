"""Finding a checkpoint's files: folders, repos on a loopback hub, the cache, and what is said of missing ones."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shutil import rmtree

import pytest

from headway.errors import CheckpointError, ConfigError, InputError
from headway.io.hub import Source, locate
from hub import Hub

FILES = {"config.json": '{"model_type": "bert"}', "vocab.txt": "a\nb\n", "onnx/model.onnx": b"graph"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def place(hub: Hub, cache: Path, name: str = "org/tiny", **options: object) -> Source:
    return partial(locate, name, endpoint=hub.url, cache_dir=cache)(**options)  # type: ignore[arg-type]


def one_sentence(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert text.endswith((".", "?"))
    return text


# Local folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text('{"a": 1}')
    (folder / "sub" / "config.json").write_text('{"a": 2}')
    return folder


def test_folder_files_are_found_in_the_order_asked_for(folder: Path) -> None:
    source = locate(folder)
    assert source.find("nothing.json") is None
    assert source.find("nothing.json", "config.json") == folder / "config.json"
    assert source.read_json("config.json") == {"a": 1}
    assert source.read_json("nothing.json") is None
    assert source.files() == ("config.json",)
    assert locate(str(folder), subfolder="sub").read_json("config.json") == {"a": 2}


def test_home_and_relative_paths(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert locate("~/model").read_json("config.json") == {"a": 1}
    monkeypatch.chdir(folder)
    for name in (".", "./sub/..", "../model"):
        assert locate(name).read_json("config.json") == {"a": 1}


@pytest.mark.usefixtures("no_sockets")
def test_a_folder_wins_over_a_repo_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "org" / "tiny").mkdir(parents=True)
    (tmp_path / "org" / "tiny" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert locate("org/tiny").require("config.json") == Path("org/tiny/config.json")
    assert locate("org/tiny").find("vocab.txt") is None


def test_a_json_file_is_the_configuration_of_its_folder(folder: Path) -> None:
    (folder / "other.json").write_text('{"a": 3}')
    source = locate(folder / "other.json")
    assert source.config_name == "other.json"
    assert source.read_json(source.config_name) == {"a": 3}
    assert source.find("config.json") == folder / "config.json"
    assert locate(folder).config_name == "config.json"


def test_what_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not exist. Did you mean 'model'\?"):
        locate(folder.parent / "modle")
    with pytest.raises(CheckpointError, match=r"no subfolder 'suub'. Did you mean 'sub'\?"):
        locate(folder, subfolder="suub")
    (folder / "model.safetensors").touch()
    with pytest.raises(CheckpointError, match="is a file: give the folder"):
        locate(folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        locate(folder).require("a.json", "b.json")
    assert all(part in one_sentence(caught.value) for part in ("a.json or b.json", str(folder)))


@pytest.mark.parametrize("name", ["./nothing", "../nothing", "~/nothing", "/nothing", "a/b/c", "a\\b", Path("org/x")])
def test_a_path_that_does_not_exist_is_no_repo_id(name: str | Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        locate(name)


@pytest.mark.parametrize("name", ["", "two words", "org/", "-x", "a--b", "a..b", "x" * 97, "https://host/a/b", "a\n"])
def test_malformed_repo_ids(name: str) -> None:
    with pytest.raises(CheckpointError, match="neither a local folder nor a repo id"):
        locate(name)


@pytest.mark.parametrize(
    "name", ["../secret", "a/../../secret", "/etc/hostname", "a/..", "", "..", "a\\..\\b", "C:x", "a\0b", "a//b"]
)
def test_names_that_lead_out_are_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret").write_text("{}")
    with pytest.raises(CheckpointError, match="leads out of the checkpoint's folder"):
        locate(folder).find(name)
    with pytest.raises(CheckpointError, match="leads out"):
        locate("org/tiny", local_files_only=True).find("config.json", name)


def test_subfolder_and_revision_stay_inside(folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"subfolder='\.\./model'"):
        locate(folder, subfolder="../model")
    with pytest.raises(CheckpointError, match="must be a branch"):
        locate("org/tiny", revision="../../../etc")


def test_a_name_that_is_too_long_for_the_file_system(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        locate(folder).find("x" * 300)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git-LFS pointer"),
        (b"\n<!DOCTYPE html><html></html>", "HTML page"),
        (b"{", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1]", "holds a JSON list"),
    ],
)
def test_broken_json_is_named(folder: Path, content: bytes, message: str) -> None:
    (folder / "config.json").write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        locate(folder).read_json("config.json")
    assert str(folder / "config.json") in one_sentence(caught.value)


def test_json_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'\xef\xbb\xbf{"a": 5}')
    assert locate(folder).read_json("config.json") == {"a": 5}


@pytest.mark.parametrize(
    "code",
    [
        "import headway.io.hub as hub; hub.locate({folder!r}).read_json('config.json')",
        "import headway.io.hub as hub; hub.locate('org/tiny', cache_dir={cache!r}).require('config.json')",
    ],
)
def test_what_is_at_hand_needs_neither_torch_nor_the_hub_client(hub: Hub, folder: Path, cache: Path, code: str) -> None:
    hub.add("org/tiny", FILES)
    place(hub, cache).require("config.json")
    hub.requests.clear()
    code = code.format(folder=str(folder), cache=str(cache))
    code += "; import sys; assert not {'torch', 'huggingface_hub.file_download', 'httpx2'} & sys.modules.keys()"
    source = Path(sys.modules["headway.io.hub"].__file__ or "").parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(source)})
    assert not hub.requests


# The hub and its cache


def test_only_the_files_asked_for_are_downloaded(hub: Hub, cache: Path) -> None:
    commit = hub.add("org/tiny", FILES)
    source = place(hub, cache)
    assert not hub.requests
    assert source.read_json("config.json") == {"model_type": "bert"}
    assert source.find("model.safetensors", "vocab.txt").read_text() == "a\nb\n"  # type: ignore[union-attr]
    snapshot = cache / "models--org--tiny" / "snapshots" / commit
    assert sorted(path.name for path in snapshot.iterdir()) == ["config.json", "vocab.txt"]
    assert sum(line.startswith("GET") for line in hub.requests) == 3  # the listing and two files
    assert source.files() == ("config.json", "vocab.txt")
    assert place(hub, cache, subfolder="onnx").require("model.onnx").read_bytes() == b"graph"
    assert place(hub, cache, subfolder="onnx").files() == ("model.onnx",)


def test_a_cached_repo_opens_no_socket(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    hub.add("org/tiny", FILES)
    first = place(hub, cache)
    first.require("config.json")
    assert first.find("generation_config.json") is None
    request.getfixturevalue("no_sockets")
    hub.requests.clear()
    for options in ({}, {"local_files_only": True}):
        again = place(hub, cache, **options)
        assert again.read_json("config.json") == {"model_type": "bert"}
        assert again.find("generation_config.json") is None  # known to be absent
    assert not hub.requests


def test_the_cache_is_the_one_of_huggingface_hub(hub: Hub, cache: Path) -> None:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.utils import EntryNotFoundError

    hub.add("org/tiny", FILES)
    theirs = partial(hf_hub_download, "org/tiny", endpoint=hub.url, cache_dir=cache)
    theirs("config.json")
    with pytest.raises(EntryNotFoundError):
        theirs("generation_config.json")
    hub.requests.clear()
    ours = place(hub, cache)
    assert ours.require("config.json") == Path(try_to_load_from_cache("org/tiny", "config.json", cache))
    assert ours.find("generation_config.json") is None
    assert not hub.requests
    assert ours.find("added_tokens.json") is None
    assert not isinstance(try_to_load_from_cache("org/tiny", "added_tokens.json", cache), str | None)
    assert Path(theirs("vocab.txt", local_files_only=False)) == ours.require("vocab.txt")


def test_all_files_come_from_one_commit(hub: Hub, cache: Path) -> None:
    old = hub.add("org/tiny", FILES)
    source = place(hub, cache)
    source.require("config.json")
    new = hub.add("org/tiny", {**FILES, "config.json": "{}", "vocab.txt": "new"})
    assert source.require("vocab.txt").read_text() == "a\nb\n"
    later = place(hub, cache)  # the branch has moved, but is not polled
    assert later.require("config.json").parent.name == later.require("vocab.txt").parent.name == old
    fresh = place(hub, cache, force_download=True)
    assert fresh.require("vocab.txt").parent.name == new
    assert fresh.read_json("config.json") == {}
    assert place(hub, cache, local_files_only=True).read_json("config.json") == {}


def test_force_download_takes_each_file_once(hub: Hub, cache: Path) -> None:
    hub.add("org/tiny", FILES)
    place(hub, cache).require("config.json")
    hub.requests.clear()
    source = place(hub, cache, force_download=True)
    source.require("config.json")
    taken = len(hub.requests)
    source.require("config.json")
    assert len(hub.requests) == taken > 0
    with pytest.raises(InputError, match="force_download"):
        place(hub, cache, force_download=True, local_files_only=True)


def test_a_cleared_cache_is_filled_with_the_newest(hub: Hub, cache: Path) -> None:
    hub.add("org/tiny", FILES)
    place(hub, cache).require("config.json")
    rmtree(cache / "models--org--tiny" / "snapshots")
    new = hub.add("org/tiny", {"config.json": "{}"})
    assert place(hub, cache).require("config.json").parent.name == new


def test_a_hub_that_names_a_path_for_a_commit_is_refused(hub: Hub, cache: Path) -> None:
    hub.repos["org/evil"] = {"main": "../../outside"}
    hub.commits["../../outside"] = {}
    with pytest.raises(CheckpointError, match="does not name the commit"):
        place(hub, cache, "org/evil").find("config.json")
    assert not cache.exists()


def test_revisions(hub: Hub, cache: Path) -> None:
    hub.add("org/tiny", FILES)
    commit = hub.add("org/tiny", {"config.json": '{"v": 2}'}, revision="v2.0")
    hub.add("org/tiny", {"config.json": '{"v": 3}'}, revision="refs/pr/1")
    assert place(hub, cache, revision="v2.0").read_json("config.json") == {"v": 2}
    assert place(hub, cache, revision="refs/pr/1").read_json("config.json") == {"v": 3}
    hub.requests.clear()
    for revision in ("v2.0", commit, "refs/pr/1"):
        assert place(hub, cache, revision=revision).read_json("config.json") is not None
    assert not hub.requests
    with pytest.raises(CheckpointError, match="has no revision 'v9'") as caught:
        place(hub, cache, revision="v9").find("config.json")
    one_sentence(caught.value)


def test_errors_say_what_to_do(hub: Hub, cache: Path) -> None:
    with pytest.raises(CheckpointError, match="neither a local folder nor a repo on") as caught:
        place(hub, cache, "org/nothing").find("config.json")
    assert "'org/nothing'" in one_sentence(caught.value)
    hub.add("org/gated", FILES, gated=True)
    for token in (False, "wrong"):
        with pytest.raises(CheckpointError, match="is gated") as caught:
            place(hub, cache, "org/gated", token=token).find("config.json")
        one_sentence(caught.value)
    assert place(hub, cache, "org/gated", token="open-sesame").find("config.json")
    hub.add("org/tiny", FILES)
    with pytest.raises(CheckpointError) as caught:
        place(hub, cache).require("a.bin", "b.bin")
    assert "no a.bin or b.bin: searched revision 'main' of the hub repo 'org/tiny'" in one_sentence(caught.value)


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_an_unreachable_hub_is_said_at_once(cache: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CheckpointError, match="cannot be reached") as caught:
        locate("org/tiny", endpoint=closed_port(), cache_dir=cache).find("config.json")
    assert str(cache) in one_sentence(caught.value)
    assert time.monotonic() - began < 3


def test_what_is_cached_works_without_the_hub(hub: Hub, cache: Path) -> None:
    hub.add("org/tiny", FILES)
    place(hub, cache).require("config.json")
    for options in ({"endpoint": closed_port()}, {"local_files_only": True, "endpoint": hub.url}):
        hub.requests.clear()
        source = locate("org/tiny", cache_dir=cache, **options)  # type: ignore[arg-type]
        assert source.read_json("config.json") == {"model_type": "bert"}
        assert source.find("vocab.txt") is None  # on the hub, but out of reach
        assert source.files() == ("config.json",)
        with pytest.raises(CheckpointError) as caught:
            source.require("vocab.txt")
        assert str(cache) in one_sentence(caught.value)
        assert "switched off" in str(caught.value) or "cannot be reached" in str(caught.value)
        assert not hub.requests


def test_offline_by_the_environment(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    hub.add("org/tiny", FILES)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="switched off"):
        place(hub, cache).require("config.json")
    assert not hub.requests


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        ("t5-small", "google-t5/t5-small"),
        ("roberta-base", "FacebookAI/roberta-base"),
        ("xlm-roberta-large", "FacebookAI/xlm-roberta-large"),
        ("distilbert-base-cased", "distilbert/distilbert-base-cased"),
        ("distilgpt2", "distilbert/distilgpt2"),
        ("albert-base-v2", "albert/albert-base-v2"),
    ],
)
def test_moved_repos_are_found_in_the_cache_under_both_names(hub: Hub, cache: Path, old: str, new: str) -> None:
    hub.add(new, FILES)
    hub.moved[old] = new
    for first, second in ((old, new), (new, old)):
        place(hub, cache / first, first).require("config.json")
        hub.requests.clear()
        assert place(hub, cache / first, second, local_files_only=True).require("config.json")
        assert place(hub, cache / first, second).require("config.json")
        assert not hub.requests
        assert place(hub, cache / first, second).require("vocab.txt")
    assert place(hub, cache / "x", f"someone/{new.split('/')[1]}", local_files_only=True).find("config.json") is None


def test_the_loopback_hub_serves_ranges_and_trees(hub: Hub) -> None:
    from urllib.request import Request, urlopen

    hub.add("org/tiny", FILES)
    with urlopen(Request(f"{hub.url}/org/tiny/resolve/main/vocab.txt", headers={"Range": "bytes=2-3"})) as answer:
        assert (answer.status, answer.read()) == (206, b"b\n")
    with urlopen(f"{hub.url}/api/models/org/tiny/tree/main") as answer:
        assert {file["path"] for file in json.load(answer)} == set(FILES)
