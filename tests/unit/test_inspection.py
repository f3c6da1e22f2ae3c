"""What inspecting a checkpoint says is what loading it does, and it reads no more than it must."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import headway
from headway import inspect_model, pipeline
from headway.embedded import SHARED, folder
from headway.errors import CheckpointError, InputError, WeightsError
from headway.inspection import memory
from headway.inspection.fit import tensors_of
from headway.inspection.picture import Block, draw, ranges
from headway.io.header import FIRST
from headway.models.assemble import model_class
from headway.models.classes import class_name
from headway.models.plan import BASE, canonical_task, plan, tasks_of
from headway.pipelines.base import pipelines
from headway.registry import families, find_family
from headway.tasks import TASKS
from hub import Hub
from small import PAIRS, inputs_for, small_checkpoint, small_config, small_model

ONCE = [
    (name, tasks_of(family)[number % len(tasks_of(family))]) for number, (name, family) in enumerate(families().items())
]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


# --- the promise: what it says is what loading does ---------------------------------------------------------------


def loaded(name: str, task: str, path: Path) -> str:
    """What becomes of a head when the checkpoint is loaded with it."""
    try:
        report = model_class(name, task).from_pretrained(path).load_report
    except WeightsError:
        return "impossible"
    return "new" if report.new or report.mismatched else "whole"


@pytest.mark.parametrize(("name", "task"), ONCE, ids=lambda x: str(x))
def test_heads_are_new_where_loading_draws_them(
    name: str, task: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "headway")
    family = find_family(name)
    small_checkpoint(tmp_path, name, task)
    seen = inspect_model(tmp_path)
    assert (seen.model_type, seen.head) == (name, canonical_task(family, task))
    assert seen.heads[task] == "trained"
    for other, state in seen.heads.items():
        assert ("whole" if state in ("trained", "fits") else state) == loaded(name, other, tmp_path), other
    model = model_class(name, task).from_pretrained(tmp_path)
    assert seen.fit is not None
    assert (seen.fit.missing, seen.fit.unfitting, seen.fit.new, seen.fit.left_over) == ((), (), (), ())
    assert seen.parameters == model.num_parameters()


@pytest.mark.parametrize("name", ["bert", "llama", "t5", "roberta", "clip", "vit"])
def test_a_bare_backbone_has_no_head(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "headway")
    small_checkpoint(tmp_path, name)
    seen = inspect_model(tmp_path)
    assert "trained" not in seen.heads.values() or name == "clip"
    for other, state in seen.heads.items():
        assert ("whole" if state in ("trained", "fits") else state) == loaded(name, other, tmp_path), other


def test_what_is_missing_and_left_over(tmp_path: Path) -> None:
    model = small_model("bert", "masked-lm")
    from headway.models.load import stored_tensors

    tensors = dict(stored_tensors(model, model.parts()))
    tensors["what.is.this"] = torch.ones(2)
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    tensors["bert.encoder.layer.0.output.dense.weight"] = torch.ones(3, 3)
    model.save_pretrained(tmp_path, state_dict=tensors)
    seen = inspect_model(tmp_path)
    assert seen.fit is not None
    assert seen.fit.missing == ("bert.encoder.layer.1.output.dense.weight",)
    assert seen.fit.unfitting == ("bert.encoder.layer.0.output.dense.weight",)
    assert seen.fit.left_over == ("what.is.this",)
    assert "what.is.this" in str(seen)


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_quantised_files_are_as_whole_as_others(weights: str, tmp_path: Path) -> None:
    model = small_model("llama", "causal-lm", hidden_size=64, intermediate_size=64, tie_word_embeddings=False)
    model.quantize(weights).save_pretrained(tmp_path)
    seen = inspect_model(tmp_path)
    assert seen.fit is not None
    assert (seen.fit.missing, seen.fit.unfitting, seen.fit.new, seen.fit.left_over) == ((), (), (), ())
    assert seen.heads["causal-lm"] == "trained"
    assert seen.weights is not None
    assert seen.weights.quantised == weights


def test_shards_and_pickles(tmp_path: Path) -> None:
    model = small_model("gpt2", "causal-lm")
    model.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    shards = inspect_model(tmp_path / "shards")
    assert shards.weights is not None
    assert len(shards.weights.files) > 1
    assert shards.heads["causal-lm"] == "trained"
    model.config.save_pretrained(tmp_path / "pickle")
    torch.save({"wte.weight": torch.ones(2)}, tmp_path / "pickle" / "pytorch_model.bin")
    pickle = inspect_model(tmp_path / "pickle")
    assert pickle.fit is None
    assert set(pickle.heads.values()) == {"unknown"}
    assert "is a pickle" in str(pickle)
    model.config.save_pretrained(tmp_path / "empty")
    assert "no weights" in str(inspect_model(tmp_path / "empty"))


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        inspect_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match="Did you mean 'revision'"):
        inspect_model(tmp_path, revsion="x")
    with pytest.raises(InputError, match="positive number"):
        inspect_model(tmp_path, tokens=0)


# --- pictures -----------------------------------------------------------------------------------------------------


def blocks(block: Block) -> Iterator[Block]:
    yield block
    for inner in block.blocks:
        yield from blocks(inner)


@pytest.mark.parametrize(("name", "task"), PAIRS, ids=lambda x: str(x))
def test_a_picture_shows_every_layer_once_and_every_parameter(name: str, task: str) -> None:
    family, config = find_family(name), small_config(name)
    made = plan(family, canonical_task(family, task), config)
    tensors = tensors_of(made, config)
    picture = draw(made, tensors, class_name(family, made.head.task if made.head else BASE))
    stacks = {key.split("layers.")[0] for key in tensors if "layers." in key}
    layers = {
        (stack, key.removeprefix(stack).split(".")[1])
        for stack in stacks
        for key in tensors
        if key.startswith(f"{stack}layers.")
    }
    assert sum(block.times for block in blocks(picture) if block.at) == len(layers)
    assert sum(block.parameters for block in picture.blocks) == picture.parameters
    assert picture.parameters == sum(tensor.size for tensor in tensors.values() if tensor.learned)
    assert json.loads(json.dumps(picture.to_dict()))["parameters"] == picture.parameters
    lines = str(picture).splitlines()
    assert len(lines) == len(list(blocks(picture)))
    assert picture.to_html().count("<b>") == len(lines)
    if made.head is not None:
        assert made.head.task in lines[-1]


def test_equal_layers_are_drawn_once() -> None:
    config = small_config("gemma3_text", num_hidden_layers=6, sliding_window=7)
    family = find_family("gemma3_text")
    made = plan(family, "causal-lm", config)
    text = str(draw(made, tensors_of(made, config), "x"))
    assert "5 x layer" in text
    assert "window 7" in text
    assert "0-4: " in text
    assert "5: " in text


@pytest.mark.parametrize(
    ("numbers", "want"),
    [
        ([0], "0"),
        (range(12), "0-11"),
        ([0, 2, 4, 6], "0, 2, ..., 6"),
        ([0, 1, 5], "0-1, 5"),
        ([0, 2, 5, 6], "0, 2, 5-6"),
        ([0, 2], "0, 2"),
    ],
)
def test_ranges(numbers: Any, want: str) -> None:
    assert ranges(numbers) == want


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "t5", "mixtral", "deepseek_v3", "mamba2"])
@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_memory_is_that_of_a_quantised_model(name: str, weights: str) -> None:
    task = tasks_of(find_family(name))[0]
    wide = {"intermediate_size": 64} if name in ("bert", "llama") else {}
    model = small_model(name, task, **wide).to(torch.bfloat16)
    made = plan(find_family(name), task, model.config)
    want = memory.weights(tensors_of(made, model.config))
    assert want["bfloat16"] == 2 * sum(tensor.size for tensor in tensors_of(made, model.config).values())
    model.quantize(weights)
    state = model.state_dict(keep_vars=True)
    # Corrections of routers are float32 in any case, a few numbers that are not worth an exception.
    tensors = {id(tensor): tensor for name, tensor in state.items() if not name.endswith("correction")}.values()
    corrections = sum(tensor.numel() for name, tensor in state.items() if name.endswith("correction"))
    assert want[weights] == sum(tensor.nbytes for tensor in tensors) + 2 * corrections


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5", "bart", "deepseek_v3", "mamba2", "falcon", "gemma"])
def test_memory_of_a_cache(name: str) -> None:
    task = "seq2seq-lm" if name in ("t5", "bart") else "causal-lm"
    model = small_model(name, task)
    inputs = inputs_for(model, rows=3, width=6)
    if task == "seq2seq-lm":
        inputs["decoder_input_ids"] = inputs["input_ids"]
    cache = model(**inputs, use_cache=True).past_key_values
    held = [part for layer in range(len(cache)) for part in cache[layer]]
    held += [part for keys, values, _ in cache.cross.values() for part in (keys, values)]
    assert memory.cache(model.plan.backbone, 6, 3, 4) == sum(part.nbytes for part in held)


def test_a_window_bounds_a_cache() -> None:
    backbone = plan(find_family("mistral"), BASE, small_config("mistral", sliding_window=4)).backbone
    assert memory.cache(backbone, 4, 1, 2) == memory.cache(backbone, 400, 1, 2)
    assert memory.cache(plan(find_family("bert"), BASE, small_config("bert")).backbone, 4, 1, 2) is None


# --- tasks --------------------------------------------------------------------------------------------------------


def test_every_auto_class_is_known_by_its_task() -> None:
    for task in TASKS.values():
        auto = getattr(headway, f"AutoModel{task.auto or task.suffix}", None) if task.task != "projection" else None
        assert auto is None or auto.task == task.task
    assert {kind.auto for kind in pipelines().values()} <= {
        "AutoModel",
        *(f"AutoModel{task.auto or task.suffix}" for task in TASKS.values()),
    }


@pytest.mark.parametrize("task", [task for task in pipelines() if folder(task) and task not in SHARED])
def test_the_models_that_come_with_headway_are_for_their_tasks(task: str) -> None:
    seen = inspect_model(folder(task))  # type: ignore[arg-type]
    assert seen.tasks[0] == task == pipeline(model=str(folder(task))).task
    assert (seen.tokenizer is None) == (task == "image-classification")
    assert seen.card["license"] == "apache-2.0"
    html = seen._repr_html_()
    assert "<details" in html
    assert "apache-2.0" in html


def test_chat_templates(tmp_path: Path) -> None:
    source = folder("fill-mask")
    assert source is not None
    shutil.copytree(source, tmp_path / "m")
    (tmp_path / "m" / "chat_template.jinja").write_text("{% for tool in tools %}{% endfor %}")
    seen = inspect_model(tmp_path / "m")
    assert seen.to_dict()["tokenizer"]["chat_templates"]["default"]["tools"] is True
    assert "default with tools" in str(seen)


# --- the hub ------------------------------------------------------------------------------------------------------


def test_of_weights_on_the_hub_headers_alone_are_asked_for(hub: Hub, tmp_path: Path) -> None:
    model = small_model("bert", "masked-lm", hidden_size=64, vocab_size=4000)
    model.save_pretrained(tmp_path / "one")
    model.save_pretrained(tmp_path / "many", max_shard_size="400KB")
    for name, count in (("one", 1), ("many", len(list((tmp_path / "many").glob("*.safetensors"))))):
        hub.add(f"some/{name}", tmp_path / name)
        hub.ranges.clear()
        seen = inspect_on(hub, f"some/{name}", tmp_path)
        local = inspect_model(tmp_path / name).to_dict()
        assert {**seen, "name": local["name"]} == local
        asked = [entry for entry in hub.ranges if entry[0].endswith(".safetensors")]
        assert len(asked) == count
        assert {part for _, part in asked} == {f"bytes=0-{FIRST - 1}"}
    assert not [path for path in (tmp_path / "cache").rglob("*.safetensors") if path.stat().st_size]


def inspect_on(hub: Hub, name: str, tmp_path: Path) -> dict[str, Any]:
    """Inspect in a process whose hub is the one on loopback."""
    code = f"import json, headway; print(json.dumps(headway.inspect_model({name!r}).to_dict()))"
    done = run(code, HF_ENDPOINT=hub.url, HF_HOME=str(tmp_path / "cache"), HF_HUB_DISABLE_XET="1")
    found: dict[str, Any] = json.loads(done)
    return found


def run(code: str, **environment: str) -> str:
    import os

    # Tests beside the oracle switch the network off for their process.
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", **environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_a_header_longer_than_the_first_look(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headway.io import header, stored

    small_checkpoint(tmp_path / "m", "bert")
    want = inspect_model(tmp_path / "m")
    for module in (header, stored):
        monkeypatch.setattr(module, "FIRST", 64)
    header._parse.cache_clear()
    assert inspect_model(tmp_path / "m") == want


def test_offline_it_sees_what_the_cache_holds(hub: Hub, tmp_path: Path) -> None:
    small_checkpoint(tmp_path / "m", "bert", "masked-lm")
    hub.add("some/cached", tmp_path / "m")
    home = {"HF_HOME": str(tmp_path / "cache")}
    run(
        "from headway import AutoModelForMaskedLM; AutoModelForMaskedLM.from_pretrained('some/cached')",
        HF_ENDPOINT=hub.url,
        HF_HUB_DISABLE_XET="1",
        HF_HUB_DISABLE_PROGRESS_BARS="1",
        **home,
    )
    hub.requests.clear()
    code = "import headway; print(headway.inspect_model('some/cached').heads['masked-lm'])"
    assert run(code, HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="1", **home) == "trained\n"
    assert hub.requests == []


def test_no_torch_is_imported() -> None:
    code = f"import sys, headway; headway.inspect_model({str(folder('fill-mask'))!r}); print('torch' in sys.modules)"
    assert run(code) == "False\n"
