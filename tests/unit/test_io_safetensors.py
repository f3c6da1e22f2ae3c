"""The safetensors format: read without copying, written as the safetensors package writes it, damage recognised."""

import json
import pickle
import time
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headway.errors import WeightsError
from headway.io.header import read_header
from headway.io.safetensors import SafetensorsFile, write_safetensors

NUMBERS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
SMALL = [torch.int8, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.float8_e5m2]
UNSIGNED = [torch.uint16, torch.uint32, torch.uint64, torch.complex64]
DTYPES = NUMBERS + SMALL + UNSIGNED


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {f"x.{dtype}": (torch.randn(3, 5) * 9).abs().to(dtype) for dtype in DTYPES}
    return {**made, "scalar": torch.tensor(7.5), "empty": torch.empty(0, 4), "a.é": torch.arange(6.0).view(1, 2, 3)}


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return one.reshape(-1).view(torch.uint8).equal(other.resolve_neg().reshape(-1).view(torch.uint8))


def raw(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def one(dtype: str = "F32", shape: Any = (2,), offsets: Any = (0, 8), **more: Any) -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}}


def test_reads_what_safetensors_writes(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file(tensors(), path, {"format": "flax", "anything": "else"})
    file = SafetensorsFile(path)
    assert file.entries.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert same(file.tensor(name), tensor), name
        assert (file.entries[name].shape, file.entries[name].dtype) == (tuple(tensor.shape), tensor.dtype)


@pytest.mark.parametrize("metadata", [{"format": "pt"}, {}])
def test_writes_the_bytes_that_safetensors_writes(tmp_path: Path, metadata: dict[str, str]) -> None:
    # Several keys of metadata are left out here: safetensors writes them in no fixed order, which is a fault.
    safetensors.torch.save_file(tensors(), tmp_path / "theirs", metadata or None)
    write_safetensors(tmp_path / "ours", dict(reversed(tensors().items())), metadata)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_views_of_any_layout_are_written(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(4, 6)
    views = {"t": base.T, "step": base[::2, 1::3], "wide": base[0].expand(3, 6), "neg": torch._neg_view(base)}
    views["parameter"] = torch.nn.Parameter(base.bfloat16().T)
    write_safetensors(tmp_path / "x", views, {})
    file = SafetensorsFile(tmp_path / "x")
    assert all(same(file.tensor(name), view.detach().contiguous()) for name, view in views.items())


@pytest.mark.parametrize(
    "tensor", [torch.empty(2, device="meta"), torch.eye(2).to_sparse(), torch.zeros(2, dtype=torch.complex128)]
)
def test_a_tensor_that_cannot_be_saved_is_named_and_the_old_file_stays(tmp_path: Path, tensor: torch.Tensor) -> None:
    path = tmp_path / "x"
    write_safetensors(path, {"a": torch.ones(2)}, {})
    with pytest.raises(WeightsError, match=r"'encoder\.w'"):
        write_safetensors(path, {"encoder.w": tensor}, {})
    assert SafetensorsFile(path).tensor("a").sum() == 2


def test_tensors_are_views_of_the_file_until_written_to(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_safetensors(path, {"a": torch.ones(1000), "b": torch.zeros(1000)}, {})
    before = path.read_bytes()
    file = SafetensorsFile(path)
    a, again = file.tensor("a"), file.tensor("a")
    assert a.data_ptr() == again.data_ptr()
    parameter = torch.nn.Parameter(file.tensor("b"))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    (parameter.sum() * 3).backward()
    optimizer.step()
    a.fill_(5)
    assert (parameter == -3).all()
    assert again[0] == 5
    assert path.read_bytes() == before
    assert SafetensorsFile(path).tensor("a")[0] == 1


def test_each_tensor_has_a_storage_of_its_own(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "x", {f"{i}": torch.full((100,), float(i)) for i in range(50)}, {})
    file = SafetensorsFile(tmp_path / "x")
    tensor = file.tensor("3")
    assert tensor.untyped_storage().nbytes() == 400
    assert tensor.is_contiguous()
    assert not tensor._is_view()
    assert deepcopy(tensor).equal(tensor)
    assert len(pickle.dumps(tensor)) < 2000
    del file
    assert tensor.sum() == 300  # the map lives as long as a tensor on it


def test_opening_half_a_gigabyte_takes_no_time_and_no_memory(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    path = tmp_path / "big"
    count, each = 200, 2_500_000
    names = [f"encoder.layer.{i}.weight" for i in range(count)]
    header = {n: one("U8", [each], [i * each, (i + 1) * each])["x"] for i, n in enumerate(names)}
    raw(path, header)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + count * each)  # sparse: no disk is used
    SafetensorsFile(path).tensor(names[0])
    memory, began = resident(), time.perf_counter()
    opened = SafetensorsFile(path)
    views = {name: opened.tensor(name) for name in names}
    took = time.perf_counter() - began
    assert resident() - memory < 5_000_000
    assert took < 0.1  # 3 ms on an idle machine
    assert sum(view.nbytes for view in views.values()) == count * each


def test_unaligned_tensors_are_copied(tmp_path: Path) -> None:
    header = {**one("U8", [1], [0, 1]), "y": one("F32", [2], [1, 9])["x"]}
    values = torch.tensor([1.5, -2.5])
    path = raw(tmp_path / "x", json.dumps(header).encode() + b" ", b"\7" + values.numpy().tobytes())
    tensor = SafetensorsFile(path).tensor("y")
    assert tensor.equal(values)
    assert tensor.data_ptr() % 4 == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "git-lfs"),
        (b"<!doctype html>\n<html>", "HTML page"),
        (b"1234", "not a whole safetensors file"),
        (b"\xff" * 8 + b"{}", "header is said to take 18446744073709551615 bytes, but 2 follow"),
        ((101_000_000).to_bytes(8, "little") + b"{}", "not a whole"),
        ((9).to_bytes(8, "little") + b"not json!", "header is not valid JSON"),
        ((2).to_bytes(8, "little") + b"[]", "header is not a JSON object"),
        ((60_000).to_bytes(8, "little") + b'{"a":' + b"[" * 59_995, "header is not valid JSON"),
        ((9).to_bytes(8, "little") + b'{"\xff":{} }', "header is not valid JSON"),
    ],
)
def test_files_that_are_no_safetensors(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_header(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (one(), b"1234567", "is truncated: it has"),
        (one(), b"123456789", "is damaged: it has"),
        (one(offsets=[4, 12]), b"123456789abc", "overlap or leave a gap"),
        ({**one(), "y": one(offsets=[4, 12])["x"]}, b"123456789abc", "overlap or leave a gap"),
        (one(shape=[3]), b"12345678", "does not fill its 8 bytes"),
        (one(shape=[]), b"12345678", "does not fill"),
        (one("F31"), b"12345678", "F31"),
        (one(shape=[-2]), b"12345678", "does not describe 'x'"),
        (one(shape=[True, 2]), b"12345678", "does not describe 'x'"),
        (one(shape=[2.0]), b"12345678", "does not describe 'x'"),
        (one(offsets=[8, 0]), b"12345678", "does not describe 'x'"),
        (one(offsets=[0, 8, 8]), b"12345678", "does not describe 'x'"),
        (one(offsets="08"), b"12345678", "does not describe 'x'"),
        (one(shape=[2**70, 0], offsets=[0, 0]), b"", "does not describe 'x'"),
        (one(shape=[2**40, 2**40, 0], offsets=[0, 0]), b"", "shape of 'x' is impossible"),
        (one(shape=[1] * 70, offsets=[0, 4]), b"1234", "shape of 'x' is impossible"),
        ({"x": {"dtype": "F32"}}, b"", "does not describe 'x'"),
        ({"x": None}, b"", "does not describe 'x'"),
    ],
)
def test_headers_that_do_not_add_up(tmp_path: Path, header: Any, data: bytes, message: str) -> None:
    path = raw(tmp_path / "x.safetensors", header, data)
    with pytest.raises(WeightsError, match=message) as caught:
        read_header(path)
    assert str(caught.value).startswith(str(path))


def test_every_truncation_of_a_file_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    write_safetensors(whole, {"a": torch.ones(3), "b": torch.zeros(2, dtype=torch.int8)}, {"format": "pt"})
    data = whole.read_bytes()
    for size in range(len(data)):
        (tmp_path / "cut").write_bytes(data[:size])
        with pytest.raises(WeightsError):
            read_header(tmp_path / "cut")


def test_metadata_may_be_anything(tmp_path: Path) -> None:
    for metadata in ({"format": "mlx"}, {}, None, [1], "text"):
        path = raw(tmp_path / "x", {"__metadata__": metadata, **one()}, b"12345678")
        assert list(read_header(path)) == ["x"]


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "x.safetensors"


def read_all(path: Path) -> None:
    """Read every tensor; only WeightsError may come of it."""
    with suppress(WeightsError):
        file = SafetensorsFile(path)
        for name, entry in file.entries.items():
            tensor = file.tensor(name)
            assert (tuple(tensor.shape), tensor.dtype) == (entry.shape, entry.dtype)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_crash(scratch: Path, data: bytes) -> None:
    scratch.write_bytes(data)
    read_all(scratch)


numbers = st.integers(-2, 20) | st.sampled_from([2**31, 2**62, 2**63, 2**64, 10**30, 0.5, True, None, "1"])
offsets = st.lists(numbers, min_size=2, max_size=2) | st.integers(0, 8).map(lambda stop: [0, stop])
dtypes = st.sampled_from(["F32", "U8", "BOOL", "F64", "F4", "", None])
described = st.fixed_dictionaries(
    {"dtype": dtypes, "shape": st.lists(numbers, max_size=4) | numbers, "data_offsets": offsets}
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from("ab"), described | numbers, max_size=2), st.binary(max_size=24))
def test_random_headers_never_crash(scratch: Path, header: dict[str, Any], data: bytes) -> None:
    read_all(raw(scratch, header, data))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_flipped_bytes_never_crash(scratch: Path, data: st.DataObject) -> None:
    write_safetensors(scratch, {"a": torch.ones(3), "b": torch.zeros(2, 2, dtype=torch.int8)}, {"format": "pt"})
    content = bytearray(scratch.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    scratch.write_bytes(content)
    read_all(scratch)
