"""Opening the weights of a checkpoint, whichever files hold them, and what is said of broken ones."""

import json
import os
import pickle
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from headway.errors import CheckpointError, WeightsError
from headway.io.hub import locate
from headway.io.save import save_weights
from headway.io.weights import Weights, open_weights
from hub import Hub

A, B, C = torch.arange(6.0).view(2, 3), torch.full((4,), 2.0, dtype=torch.bfloat16), torch.tensor([1, 2])
TENSORS = {"a": A, "b": B, "c": C}


def opened(folder: Path, **options: Any) -> Weights:
    return open_weights(locate(folder), **options)


def check(weights: Weights, expected: dict[str, torch.Tensor] = TENSORS) -> None:
    assert set(weights) == set(expected)
    assert len(weights) == len(expected)
    for name, tensor in expected.items():
        assert name in weights
        assert weights[name].equal(tensor)
        assert (weights.shape(name), weights.dtype(name)) == (tuple(tensor.shape), tensor.dtype)


def refused(folder: Path, message: str, kind: type[CheckpointError] = WeightsError, **options: Any) -> str:
    with pytest.raises(kind, match=message) as caught:
        opened(folder, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_single_safetensors_file(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "model.safetensors")
    weights = opened(tmp_path)
    check(weights)
    assert weights.files == (tmp_path / "model.safetensors",)
    assert repr(weights) == "Weights(3 tensors in model.safetensors)"
    assert weights.get("nothing") is None
    with pytest.raises(KeyError):
        weights["nothing"]


def test_the_order_of_search(tmp_path: Path) -> None:
    """Each file put into the folder goes before those that were there."""

    def value() -> float:
        return float(opened(tmp_path)["x"])

    index = {"weight_map": {"x": "shard.bin"}}
    torch.save({"x": torch.tensor(1.0)}, tmp_path / "shard.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert value() == 1
    torch.save({"x": torch.tensor(2.0)}, tmp_path / "pytorch_model.bin")
    assert value() == 2
    save_file({"x": torch.tensor(3.0)}, tmp_path / "shard.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "shard.safetensors"}}))
    assert value() == 3
    save_file({"x": torch.tensor(4.0)}, tmp_path / "model.safetensors")
    assert value() == 4


@pytest.mark.parametrize("layout", ["model{}.safetensors", "pytorch_model{}.bin"])
def test_variants(tmp_path: Path, layout: str) -> None:
    path = tmp_path / layout.format(".fp16")
    (save_file if path.suffix == ".safetensors" else torch.save)(TENSORS, path)
    check(opened(tmp_path, variant="fp16"))
    assert f"There is {path.name}: pass variant='fp16'." in refused(tmp_path, "has no weights")
    path.rename(tmp_path / layout.format(""))
    assert "pass no variant" in refused(tmp_path, r"fp16\.safetensors", variant="fp16")


@pytest.mark.parametrize("index", ["model.safetensors.index.fp16.json", "pytorch_model.bin.index.fp16.json"])
def test_sharded_variants(tmp_path: Path, index: str) -> None:
    shard = "x.safetensors" if "safetensors" in index else "x.bin"
    (save_file if "safetensors" in index else torch.save)(TENSORS, tmp_path / shard)
    (tmp_path / index).write_text(json.dumps({"weight_map": dict.fromkeys(TENSORS, shard)}))
    check(opened(tmp_path, variant="fp16"))
    assert "pass variant='fp16'" in refused(tmp_path, "has no weights")


# Shards


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    folder = tmp_path / "sharded"
    save_weights(TENSORS, folder, max_shard_size=24)
    return folder


def rewrite(folder: Path, **places: Any) -> None:
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"].update(places)
    index.write_text(json.dumps(content))


def test_shards(sharded: Path) -> None:
    weights = opened(sharded)
    check(weights)
    assert [path.name for path in weights.files] == [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ]


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    assert str(sharded) in refused(sharded, "shard 'model-00002-of-00002.safetensors', .* is missing")


def test_a_key_that_its_shard_lacks_is_named(sharded: Path) -> None:
    rewrite(sharded, a="model-00002-of-00002.safetensors")
    assert "model-00002-of-00002.safetensors has no tensor 'a'" in refused(sharded, "has no tensor")


def test_a_tied_tensor_that_the_index_leaves_out_is_there(sharded: Path) -> None:
    index = sharded / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    del content["weight_map"]["b"]
    index.write_text(json.dumps(content))
    check(opened(sharded))


@pytest.mark.parametrize(
    "shard", ["../secret.safetensors", "/secret.safetensors", "a/../../secret.bin", "..\\secret.bin"]
)
def test_an_index_that_points_outside_is_refused_and_nothing_read(sharded: Path, shard: str, monkeypatch: Any) -> None:
    save_file(TENSORS, sharded.parent / "secret.safetensors")
    rewrite(sharded, z=shard.replace("/secret", f"{sharded.parent}/secret") if shard.startswith("/") else shard)
    monkeypatch.setattr(
        "headway.io.weights._open", lambda path: pytest.fail(f"{path} was read") if "secret" in path.name else {}
    )
    assert "secret" in refused(sharded, "leads out of the checkpoint's folder", CheckpointError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"{", "not valid JSON"),
        (b"[]", "JSON list"),
        (b"{}", "no weight_map"),
        (b'{"weight_map": {}}', "no weight_map"),
        (b'{"weight_map": {"a": 1}}', "no weight_map"),
        (b'{"weight_map": ["a"]}', "no weight_map"),
        (b"<html>", "HTML page"),
    ],
)
def test_a_broken_index_is_named(sharded: Path, content: bytes, message: str) -> None:
    (sharded / "model.safetensors.index.json").write_bytes(content)
    assert "model.safetensors.index.json" in refused(sharded, message)


# Pickles


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "wrap", [lambda d: d, lambda d: {"epoch": 3, "state_dict": d}, lambda d: {"model": OrderedDict(d)}]
)
def test_pickles_of_any_age(tmp_path: Path, zipped: bool, wrap: Any) -> None:
    content = wrap({**TENSORS, "step": 7, "names": ["x"], "p": torch.nn.Parameter(A)})
    torch.save(content, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights = opened(tmp_path)
        check(weights, {**TENSORS, "p": A})
    assert not weights["p"].requires_grad


def test_tensors_of_a_pickle_may_be_trained_without_changing_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": A, "tied": A}, path)
    before = path.read_bytes()
    weights = opened(tmp_path)
    weights["a"].zero_()
    assert weights["tied"].sum() == 0  # a tie in the file is a tie in memory
    assert path.read_bytes() == before
    assert opened(tmp_path)["a"].equal(A)


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_asks_for_code_is_refused_and_nothing_runs(tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "made-by-the-pickle"
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": A, "x": Payload(target)}, path, _use_new_zipfile_serialization=zipped)
    assert str(path) in refused(tmp_path, "asks for code to be run")
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists()  # so the payload was a live one


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git-LFS"),
        (b"<html>", "HTML page"),
        (b"some text", "is damaged"),
        (b"PK\x03\x04 truncated", "is damaged"),
        (pickle.dumps([1, 2], protocol=2), "is damaged"),
    ],
)
def test_broken_pickles_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(content)
    assert str(path) in refused(tmp_path, message)


def test_a_truncated_pickle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-300])
    assert str(path) in refused(tmp_path, "damaged")


def test_a_pickle_of_something_else(tmp_path: Path) -> None:
    torch.save([A], tmp_path / "pytorch_model.bin")
    refused(tmp_path, "holds a list where a dict of tensors is expected")


# No weights


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tf_model.h5", "There is tf_model.h5, TensorFlow weights"),
        ("model.ckpt.index", "There is model.ckpt.index, TensorFlow weights"),
        ("flax_model.msgpack", "There is flax_model.msgpack, Flax weights"),
        ("model-q4.gguf", "There is model-q4.gguf, GGUF weights"),
        ("model.onnx", "There is model.onnx, an ONNX graph"),
        ("adapter_model.safetensors", "There is adapter_model.safetensors, an adapter"),
        ("consolidated.safetensors", "There is consolidated.safetensors, weights under the names of their makers'"),
        ("consolidated.00.pth", "There is consolidated.00.pth, weights under the names of their makers'"),
        ("model.bin", "There is model.bin."),
        ("config.json", "There is config.json."),
    ],
)
def test_without_weights_it_is_said_what_there_is(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / name).write_text("x")
    text = refused(tmp_path, "has no weights")
    assert text.endswith(message) or f"{message}:" in text or f"{message} own library:" in text
    assert "model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json" in text
    assert str(tmp_path) in text


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refused(tmp_path, "has no weights").endswith("The folder has no files.")


# On the hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def test_weights_from_the_hub(hub: Hub, sharded: Path, tmp_path: Path) -> None:
    hub.add("org/tiny", sharded)
    source = locate("org/tiny", endpoint=hub.url, cache_dir=tmp_path / "cache")
    check(open_weights(source))
    assert not any("pytorch_model" in line or line.endswith("model.safetensors") for line in hub.requests)
    hub.requests.clear()
    check(open_weights(locate("org/tiny", endpoint=hub.url, cache_dir=tmp_path / "cache")))
    assert not hub.requests


def test_a_hub_repo_without_weights(hub: Hub, tmp_path: Path) -> None:
    hub.add("org/tf", {"config.json": "{}", "tf_model.h5": b"x"})
    with pytest.raises(WeightsError, match=r"'org/tf' has no weights: .* There is tf_model.h5"):
        open_weights(locate("org/tf", endpoint=hub.url, cache_dir=tmp_path / "cache"))
