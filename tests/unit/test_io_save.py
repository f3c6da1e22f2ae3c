"""Saving weights: the same bytes each time, shards, nothing stale left behind, and no harm to mapped files."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from headway.errors import CheckpointError, InputError, WeightsError
from headway.io.atomic import atomic_folder
from headway.io.hub import locate
from headway.io.save import save_weights
from headway.io.weights import open_weights

TENSORS = {f"layers.{i}.w": torch.full((10,), float(i)) for i in range(5)}  # 40 bytes each


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("size", ["1GB", 80])
def test_the_same_tensors_give_the_same_bytes(tmp_path: Path, size: Any) -> None:
    save_weights(TENSORS, tmp_path / "a", max_shard_size=size)
    save_weights(dict(reversed(TENSORS.items())), tmp_path / "b", max_shard_size=size)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    again = open_weights(locate(tmp_path / "a"))
    save_weights(again, tmp_path / "c", max_shard_size=size)
    assert content(tmp_path / "a") == content(tmp_path / "c")


def test_shards_and_their_index(tmp_path: Path) -> None:
    save_weights(TENSORS, tmp_path, max_shard_size=80)
    shards = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert sorted(content(tmp_path)) == [*shards, "model.safetensors.index.json"]
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 200}
    assert list(index["weight_map"].values()) == [shards[0], shards[0], shards[1], shards[1], shards[2]]
    for shard in shards:
        assert all(index["weight_map"][name] == shard for name in load_file(tmp_path / shard))
    weights = open_weights(locate(tmp_path))
    assert all(weights[name].equal(tensor) for name, tensor in TENSORS.items())


def test_a_tensor_larger_than_a_shard_has_its_own(tmp_path: Path) -> None:
    save_weights({"a": torch.ones(1), "b": torch.ones(100), "c": torch.ones(1)}, tmp_path, max_shard_size=8)
    assert len(list(tmp_path.glob("model-*-of-00003.safetensors"))) == 3


def test_the_other_layouts_are_removed_and_other_files_kept(tmp_path: Path) -> None:
    kept = ["config.json", "adapter_model.safetensors", "model.fp16.safetensors", "optimizer.bin"]
    stale = ["pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]
    for name in (*kept, *stale):
        (tmp_path / name).write_text(name)
    save_weights(TENSORS, tmp_path)
    assert sorted(content(tmp_path)) == sorted([*kept, "model.safetensors"])
    save_weights(TENSORS, tmp_path, max_shard_size=120)
    assert not (tmp_path / "model.safetensors").exists()
    save_weights(TENSORS, tmp_path, max_shard_size=80)
    assert not list(tmp_path.glob("model-*-of-00002.safetensors"))
    save_weights(TENSORS, tmp_path)
    assert sorted(content(tmp_path)) == sorted([*kept, "model.safetensors"])


@pytest.mark.parametrize("size", ["1GB", 80])
@pytest.mark.parametrize("atomic", [True, False])
def test_mapped_weights_can_be_saved_to_their_own_folder(tmp_path: Path, size: Any, atomic: bool) -> None:
    save_weights(TENSORS, tmp_path / "m", max_shard_size=size)
    weights = open_weights(locate(tmp_path / "m"))
    loaded = dict(weights)
    loaded["layers.1.w"] += 0.5
    if atomic:
        with atomic_folder(tmp_path / "m") as draft:
            save_weights(loaded, draft, max_shard_size=80)
    else:
        save_weights(loaded, tmp_path / "m", max_shard_size=80)
    assert all(weights[name].equal(loaded[name]) for name in TENSORS)
    again = open_weights(locate(tmp_path / "m"))
    assert all(again[name].equal(TENSORS[name] + 0.5 * (name == "layers.1.w")) for name in TENSORS)


def test_other_holders_of_a_file_keep_theirs(tmp_path: Path) -> None:
    save_weights(TENSORS, tmp_path / "a")
    os.link(tmp_path / "a" / "model.safetensors", tmp_path / "link")
    before = (tmp_path / "link").read_bytes()
    save_weights({"x": torch.zeros(3)}, tmp_path / "a")
    assert (tmp_path / "link").read_bytes() == before


def test_non_contiguous_tensors_cost_one_copy_at_a_time(tmp_path: Path) -> None:
    """Five transposed tensors of 40 MB: the peak may grow by about one of them."""

    def status(key: str) -> int:
        return int(re.search(rf"{key}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024  # type: ignore[index]

    base = torch.ones(5, 2500, 4000)
    views = {str(i): base[i].T for i in range(5)}
    save_weights({"warm": torch.ones(2, 5).T}, tmp_path)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    except OSError:
        pytest.skip("the peak of memory cannot be reset here")
    before = status("VmRSS")
    save_weights(views, tmp_path)
    assert status("VmHWM") - before < 1.5 * base[0].nbytes


@pytest.mark.parametrize("size", ["5 GB", "5gb", "0.5GiB", "100", 7, "3B"])
def test_sizes(tmp_path: Path, size: Any) -> None:
    save_weights({}, tmp_path, max_shard_size=size)


@pytest.mark.parametrize("size", ["", "GB", "5XB", "-5GB", "5GB2", 0, -1, 2.5, "0.1B", None])
def test_sizes_that_are_none(tmp_path: Path, size: Any) -> None:
    with pytest.raises(InputError, match=r"max_shard_size=.*'5GB' or '500MB'"):
        save_weights(TENSORS, tmp_path / "x", max_shard_size=size)
    assert not (tmp_path / "x").exists()


def test_units() -> None:
    from headway.io.save import _bytes_of

    values = {"5GB": 5 * 10**9, "500MB": 5 * 10**8, "1.5KB": 1500, "2GiB": 2**31, "1TiB": 2**40, 12: 12}
    assert {size: _bytes_of(size) for size in values} == values


def test_what_cannot_be_saved_is_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="'w'"):
        save_weights({"w": torch.empty(2, device="meta")}, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="cannot be written to"):
        save_weights(TENSORS, tmp_path / "file")
