"""Quirks of checkpoints' files: quantised and mixed weights, files by name, folders of other libraries."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import headway
from headway import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification
from headway.errors import CheckpointError, ConfigError, HeadwayError, WeightsError
from headway.io.quantised import from_fp8, from_mxfp4
from hub import Hub
from small import one_sentence, same_state, small_checkpoint

Tensors = dict[str, Tensor]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "bare", "bert")


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "llama", "llama", "causal-lm")


def rewrite(folder: Path, change: Callable[[Tensors], Any]) -> None:
    held = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    held = change(held) or held
    save_file({name: tensor.contiguous() for name, tensor in held.items()}, folder / "model.safetensors")


def configure(folder: Path, **changes: Any) -> None:
    values = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in values.items() if v is not ...}))


def refused(folder: Any, kind: type[HeadwayError], *parts: object, load: Any = AutoModel, **options: Any) -> None:
    with pytest.raises(kind) as caught:
        load.from_pretrained(folder, **options)
    text = one_sentence(caught.value)
    assert all(str(part) in text for part in parts), text


# --- 1: which file ------------------------------------------------------------------------------------------------


def test_quirk_1_a_file_that_the_config_names(bare: Path) -> None:
    expected = AutoModel.from_pretrained(bare)
    (bare / "model.safetensors").rename(bare / "ema.safetensors")
    configure(bare, transformers_weights="ema.safetensors")
    model = AutoModel.from_pretrained(bare)
    assert same_state(model, expected)
    model.save_pretrained(bare.parent / "again")
    assert same_state(AutoModel.from_pretrained(bare.parent / "again"), expected)
    configure(bare, transformers_weights=5)
    refused(bare, WeightsError, "transformers_weights", "5")
    configure(bare, transformers_weights="emma.safetensors")
    refused(bare, WeightsError, "emma.safetensors", "There is ema.safetensors")
    (bare.parent / "outside.safetensors").write_bytes((bare / "ema.safetensors").read_bytes())
    configure(bare, transformers_weights="../outside.safetensors")
    refused(bare, CheckpointError, "leads out of the checkpoint's folder")


def test_quirk_2_the_tar_files_of_the_first_torch(bare: Path) -> None:
    (bare / "model.safetensors").unlink()
    with tarfile.open(bare / "pytorch_model.bin", "w") as tar:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused(bare, WeightsError, "pytorch_model.bin", "tar format")


# --- 5, 6: which folder -------------------------------------------------------------------------------------------


def test_quirk_5_a_subfolder(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "a" / "text_encoder", "bert")
    model = AutoModel.from_pretrained(tmp_path / "a", subfolder="text_encoder")
    assert same_state(model, AutoModel.from_pretrained(folder))
    (tmp_path / "a" / "model_index.json").write_text("{}")
    refused(tmp_path / "a", CheckpointError, "a pipeline of several models; pass subfolder=")


def test_quirk_6_what_names_a_place(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = AutoModel.from_pretrained(bare)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org").mkdir()
    os.symlink(bare, tmp_path / "org" / "tiny")
    for place in (bare, str(bare), "~/bare", "./bare", "bare", bare / "config.json", "org/tiny", "bare/"):
        assert same_state(AutoModel.from_pretrained(place), expected), place


# --- 7, 26: folders of other libraries ----------------------------------------------------------------------------


def test_quirk_7_an_adapter_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/base"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    for load in (AutoConfig, AutoModel, AutoModelForCausalLM, headway.BertModel):
        refused(tmp_path, CheckpointError, "The adapter in", "'org/base'", load=load)


def test_quirk_7_an_adapter_beside_a_model(bare: Path, caplog: pytest.LogCaptureFixture) -> None:
    (bare / "adapter_config.json").write_text("{}")
    AutoModel.from_pretrained(bare)
    assert "adapter_config.json" in caplog.text
    assert "not applied" in caplog.text


def test_quirk_1_makers_formats_alone(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text("{}")
    refused(tmp_path, CheckpointError, "its makers' own format", load=AutoConfig)
    (tmp_path / "params.json").unlink()
    (tmp_path / "model.Q4_K_M.gguf").write_bytes(b"GGUF")
    refused(tmp_path, CheckpointError, "a GGUF checkpoint")


def test_quirk_7_on_the_hub(tmp_path: Path) -> None:
    with Hub() as hub:
        hub.add("org/lora", {"adapter_config.json": '{"base_model_name_or_path": "org/base"}'})
        from headway.io.configs import read_config
        from headway.io.hub import locate

        with pytest.raises(CheckpointError, match="an adapter") as caught:
            read_config(locate("org/lora", endpoint=hub.url, cache_dir=tmp_path))
        one_sentence(caught.value)


@pytest.mark.parametrize("prefix", ["", "0.auto_model.", "auto_model."])
def test_quirk_26_sentence_transformers(bare: Path, prefix: str) -> None:
    expected = AutoModel.from_pretrained(bare)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    (bare / "modules.json").write_text(json.dumps(modules))
    (bare / "1_Pooling").mkdir()
    (bare / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    rewrite(bare, lambda held: {prefix + name: tensor for name, tensor in held.items()})
    model = AutoModel.from_pretrained(bare)
    assert model.load_report.clean
    assert same_state(model, expected)


def test_quirk_26_old_folders_of_sentence_transformers(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "0_Transformer", "bert")
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer"}, {"idx": 1, "name": "1", "path": "1_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    refused(tmp_path, CheckpointError, "subfolder='0_Transformer'")
    (tmp_path / "config.json").write_text('{"__version__": "0.2.5"}')
    refused(tmp_path, ConfigError, "subfolder='0_Transformer'")
    assert same_state(AutoModel.from_pretrained(tmp_path, subfolder="0_Transformer"), AutoModel.from_pretrained(folder))


def test_folders_of_modules_that_are_broken(tmp_path: Path) -> None:
    for content in ("", "[]", "{}", '[{"path": 5}]', "[1]"):
        (tmp_path / "modules.json").write_text(content)
        refused(tmp_path, CheckpointError)


# --- 8, 9: tensors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework", [None, "pt", "tf", "flax", "mlx"])
def test_quirk_8_whichever_library_wrote_the_file(bare: Path, framework: str | None) -> None:
    expected = AutoModel.from_pretrained(bare)
    held = load_file(bare / "model.safetensors")
    save_file(held, bare / "model.safetensors", None if framework is None else {"format": framework})
    assert same_state(AutoModel.from_pretrained(bare), expected)


@pytest.mark.parametrize("saved", ["float16", "bfloat16", "float32", None])
def test_quirk_9_a_file_of_several_dtypes(bare: Path, saved: str | None) -> None:
    """The config decides; without it, the first floating-point tensor of the file."""
    kinds = [torch.float16, torch.bfloat16, torch.float32]
    rewrite(bare, lambda held: {name: t.to(kinds[i % 3]) for i, (name, t) in enumerate(held.items())})
    held = load_file(bare / "model.safetensors")
    configure(bare, dtype=..., torch_dtype=saved or ...)
    model = AutoModel.from_pretrained(bare)
    first = next(tensor.dtype for tensor in held.values())
    assert {p.dtype for p in model.parameters()} == {getattr(torch, saved) if saved else first}
    words = model.get_input_embeddings().weight
    assert torch.equal(words, held["embeddings.word_embeddings.weight"].to(words.dtype))


def fp8(tensor: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """``tensor [out, in]`` in 8-bit floats, and the scale of each block."""
    rows, columns = (-(-n // block) for n in tensor.shape)
    scale = torch.empty(rows, columns)
    codes = torch.empty_like(tensor, dtype=torch.float8_e4m3fn)
    for i in range(rows):
        for j in range(columns):
            at = (slice(i * block, (i + 1) * block), slice(j * block, (j + 1) * block))
            scale[i, j] = tensor[at].abs().max() / 448
            codes[at] = (tensor[at] / scale[i, j]).to(torch.float8_e4m3fn)
    return codes, scale


def quantise(folder: Path, block: int) -> Tensors:
    """Quantise the linear layers of a LLaMA as DeepSeek-V3's files are; returns the values that are meant."""
    meant: Tensors = {}

    def change(held: Tensors) -> Tensors:
        made: Tensors = {}
        for name, tensor in held.items():
            if "_proj" in name:
                codes, scale = fp8(tensor, block)
                made |= {name: codes, f"{name}_scale_inv": scale}
                spread = scale.repeat_interleave(block, 0).repeat_interleave(block, 1)
                meant[name] = codes.float() * spread[: tensor.shape[0], : tensor.shape[1]]
            else:
                made[name] = tensor
        return made

    rewrite(folder, change)
    configure(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [block, block]})
    return meant


@pytest.mark.parametrize("dtype", [None, "auto", "float32", "bfloat16"])
def test_quirk_9_fp8_in_blocks(llama: Path, dtype: str | None, tmp_path: Path) -> None:
    meant = quantise(llama, 7)
    configure(llama, dtype="bfloat16")
    model = AutoModelForCausalLM.from_pretrained(llama, dtype=dtype)
    kind = torch.bfloat16 if dtype in ("auto", "bfloat16") else torch.float32  # None: as the others are
    assert model.load_report.clean
    assert torch.equal(model.backbone.layers[1].mlp.down.weight, meant["model.layers.1.mlp.down_proj.weight"].to(kind))
    assert model.backbone.layers[0].attn.q.weight.dtype == kind
    with torch.no_grad():
        assert bool(model(input_ids=torch.tensor([[3, 4, 5]]))[0].isfinite().all())
    model.save_pretrained(tmp_path / "plain")
    assert "quantization_config" not in json.loads((tmp_path / "plain" / "config.json").read_text())
    assert same_state(AutoModelForCausalLM.from_pretrained(tmp_path / "plain", dtype=dtype), model)


def test_quirk_9_fp8_without_a_dtype_in_the_config(llama: Path) -> None:
    quantise(llama, 128)
    rewrite(
        llama,
        lambda held: {n: t.bfloat16() if t.dtype == torch.float32 and "scale" not in n else t for n, t in held.items()},
    )
    configure(llama, dtype=...)
    assert {p.dtype for p in AutoModelForCausalLM.from_pretrained(llama).parameters()} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("codes", "scale"),
    [
        ((6, 4), ()),
        ((6, 4), (1,)),
        ((6, 4), (6,)),
        ((6, 4), (6, 1)),
        ((6, 4), (2, 1)),
        ((6, 4), (2, 2)),
        ((3, 6, 4), (3, 2, 2)),
        ((3, 6, 4), (3, 6, 1)),
        ((6, 4), (1, 1)),
    ],
)
def test_scales_of_fp8_spread_over_what_they_stand_for(codes: tuple[int, ...], scale: tuple[int, ...]) -> None:
    a, b = torch.randn(codes).to(torch.float8_e4m3fn), torch.rand(scale) + 0.5
    found = from_fp8(a, b, (3, 2), torch.float32)
    for index in torch.cartesian_prod(*map(torch.arange, codes)).tolist():
        at: tuple[int, ...] = ()
        if len(scale) == 1 and scale[0] > 1:
            at = (index[0],)
        elif len(scale) > 1:
            steps = (*(1 for _ in codes[:-2]), 1 if scale[-2] == codes[-2] else 3, 2)
            at = tuple(min(i // step, size - 1) for i, step, size in zip(index, steps, scale, strict=True))
        expected = a[tuple(index)].float() * (b[at] if at else b.flatten()[0])
        assert torch.equal(found[tuple(index)], expected)


def test_scales_of_fp8_that_do_not_fit() -> None:
    with pytest.raises(WeightsError, match="do not fit FP8 weights") as caught:
        from_fp8(torch.zeros(6, 4).to(torch.float8_e4m3fn), torch.ones(3, 3), (2, 1), torch.float32)
    one_sentence(caught.value)


def test_quirk_9_mxfp4_is_what_its_specification_says() -> None:
    """OCP Microscaling Formats 1.0: groups of 32 numbers of 1 + 2 + 1 bits share a power of two."""
    blocks = torch.randint(0, 256, (2, 3, 2, 16), dtype=torch.uint8)
    scales = torch.randint(120, 134, (2, 3, 2), dtype=torch.uint8)
    found = from_mxfp4(blocks, scales, torch.float32)
    assert found.shape == (2, 64, 3)
    for expert in range(2):
        for row in range(3):
            for column in range(64):
                byte = int(blocks[expert, row, column // 32, column % 32 // 2])
                code = byte >> 4 if column % 2 else byte & 15
                sign, power, bit = (-1) ** (code >> 3), code >> 1 & 3, code & 1
                value = (1 + bit / 2) * 2 ** (power - 1) if power else bit / 2
                expected = sign * value * 2.0 ** (int(scales[expert, row, column // 32]) - 127)
                assert float(found[expert, column, row]) == expected
    assert torch.equal(from_mxfp4(blocks, scales, torch.bfloat16).float(), found), "bfloat16 holds them exactly"
    assert torch.equal(from_mxfp4(blocks[0], scales[0], torch.float32), found[0])
    with pytest.raises(WeightsError, match="do not fit blocks"):
        from_mxfp4(blocks, scales[:1], torch.float32)


def test_quirk_9_mxfp4_stands_under_the_name_of_its_weight(llama: Path) -> None:
    from headway.io.hub import locate
    from headway.io.quantised import dequantised
    from headway.io.weights import open_weights

    name = "model.layers.0.mlp.experts.down_proj"
    blocks = torch.randint(0, 256, (2, 3, 1, 16), dtype=torch.uint8)
    scales = torch.full((2, 3, 1), 126, dtype=torch.uint8)
    bias = torch.ones(2, 3, dtype=torch.bfloat16)
    save_file({f"{name}_blocks": blocks, f"{name}_scales": scales, f"{name}_bias": bias}, llama / "model.safetensors")
    weights = dequantised(open_weights(locate(llama)), {"quant_method": "mxfp4"}, None, "x")
    assert set(weights) == {name, f"{name}_bias"}
    assert len(weights) == 2
    assert f"{name}_blocks" not in weights
    assert (weights.shape(name), weights.dtype(name)) == ((2, 32, 3), torch.bfloat16)
    assert torch.equal(weights[name], from_mxfp4(blocks, scales, torch.bfloat16))
    assert torch.equal(weights[f"{name}_bias"], bias)


def test_quirk_9_gpt_oss_in_mxfp4(tmp_path: Path) -> None:
    """A file in MXFP4 and one of the values that it stands for give the same model."""
    sizes = {"hidden_size": 32, "intermediate_size": 32, "head_dim": 8}
    folder = small_checkpoint(tmp_path, "gpt_oss", "causal-lm", **sizes)
    plain = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
    packed: Tensors = {}
    for name, tensor in list(plain.items()):
        if not name.endswith(("gate_up_proj", "down_proj")):
            packed[name] = tensor
            continue
        experts, columns, rows = tensor.shape
        packed[f"{name}_blocks"] = torch.randint(0, 256, (experts, rows, columns // 32, 16), dtype=torch.uint8)
        packed[f"{name}_scales"] = torch.randint(120, 126, (experts, rows, columns // 32), dtype=torch.uint8)
        plain[name] = from_mxfp4(packed[f"{name}_blocks"], packed[f"{name}_scales"], torch.float32).contiguous()
    assert len(packed) > len(plain)
    save_file(plain, folder / "model.safetensors")
    expected = AutoModelForCausalLM.from_pretrained(folder)
    save_file(packed, folder / "model.safetensors")
    configure(folder, quantization_config={"quant_method": "mxfp4", "modules_to_not_convert": []})
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.load_report.clean
    assert same_state(model, expected)


@pytest.mark.parametrize(
    ("method", "leaf", "said"),
    [
        ("gptq", "qweight", "GPTQ"),
        ("awq", "qweight", "AWQ"),
        (None, "qweight", "GPTQ or AWQ"),
        ("bitsandbytes", "weight", "bitsandbytes"),
        ("bitsandbytes", "weight.absmax", "bitsandbytes"),
        (None, "weight.quant_state.bitsandbytes__nf4", "bitsandbytes"),
        (None, "SCB", "bitsandbytes"),
        ("compressed-tensors", "weight_packed", "compressed-tensors"),
        ("aqlm", "codebooks", "AQLM"),
        ("hqq", "W_q", "HQQ"),
    ],
)
def test_quirk_9_other_quantisations_are_named(llama: Path, method: str | None, leaf: str, said: str) -> None:
    def change(held: Tensors) -> Tensors:
        del held["model.layers.0.mlp.up_proj.weight"]
        return {**held, f"model.layers.0.mlp.up_proj.{leaf}": torch.ones(4, 4, dtype=torch.uint8)}

    rewrite(llama, change)
    configure(llama, quantization_config={"quant_method": method} if method else ...)
    for load in (AutoModelForCausalLM, AutoModelForSequenceClassification):
        refused(llama, WeightsError, f"quantised by {said} ", "load the checkpoint that they were made from", load=load)


def test_a_stale_quantisation_of_plain_weights_is_no_matter(llama: Path) -> None:
    configure(llama, quantization_config={"quant_method": "gptq", "bits": 4})
    assert AutoModelForCausalLM.from_pretrained(llama).load_report.clean
