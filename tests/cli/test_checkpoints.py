"""Commands that look at checkpoints, change them and talk with them."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.shell_completion import ShellComplete

from headway import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from headway.cli.main import COMMANDS, headway, main
from headway.embedded import folder
from headway.generation.talk import Talk
from hub import Hub
from small import small_checkpoint, small_model

TOY = folder("text-classification")
TEMPLATE = "{% for m in messages %}{{ m['content'] }} {% endfor %}"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A copy of a small trained model."""
    assert TOY is not None
    return Path(shutil.copytree(TOY, tmp_path / "toy"))


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model that writes, with a tokenizer that has a chat template."""
    place = tmp_path_factory.mktemp("writer") / "model"
    small_checkpoint(place, "llama", "causal-lm", vocab_size=600, max_position_embeddings=500)
    assert TOY is not None
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TOY / name, place)
    (place / "chat_template.jinja").write_text(TEMPLATE)
    return str(place)


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with Hub() as running:
        yield running


# --- inspect ------------------------------------------------------------------------------------------------------


def test_inspect(call: Any, toy: Path) -> None:
    code, out, err = call("inspect", str(toy))
    assert (code, err) == (0, "")
    assert "BertForSequenceClassification" in out
    assert "text-classification" in out
    code, out, _ = call("inspect", str(toy), "--json", "--tokens", "10")
    assert code == 0
    assert json.loads(out)["tasks"] == ["text-classification"]
    code, out, err = call("inspect", str(toy / "nowhere"))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert call("inspect")[0] == 2
    assert call("inspect", str(toy), "--tokens", "0")[0] == 2


def test_inspecting_imports_no_torch(toy: Path) -> None:
    code = (
        "import sys\nfrom headway.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as left:\n"
        "    assert left.code == 0\nassert 'torch' not in sys.modules"
    )
    for more in ((), ("--json",)):
        subprocess.run([sys.executable, "-c", code, "inspect", str(toy), *more], check=True, timeout=60)


# --- convert ------------------------------------------------------------------------------------------------------


def test_convert_a_pickle(call: Any, toy: Path, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(toy)
    from headway.models.load import stored_tensors

    torch.save(stored_tensors(model, model.parts()), toy / "pytorch_model.bin")
    (toy / "model.safetensors").unlink()
    (toy / "extra").mkdir()
    (toy / "extra" / "notes.txt").write_text("kept")
    code, out, err = call("convert", str(toy), str(tmp_path / "new"), "--max-shard-size", "100KB", "--json")
    assert (code, err) == (0, "")
    files = {path.name for path in (tmp_path / "new").iterdir()}
    assert "model.safetensors.index.json" in files
    assert {"tokenizer.json", "config.json", "README.md"} <= files
    assert not [name for name in files if name.endswith(".bin")]
    assert set(json.loads(out)["files"]) == files - {"extra"} | {"extra/notes.txt"}
    assert call("compare", str(toy), str(tmp_path / "new"), "--tolerance", "0")[0] == 0
    assert (toy / "pytorch_model.bin").exists()


def test_convert_dtype_and_in_place(call: Any, toy: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    assert call("convert", str(toy), str(new), "--dtype", "float32")[0] == 0
    assert json.loads((new / "config.json").read_text())["dtype"] == "float32"
    assert AutoModelForSequenceClassification.from_pretrained(new).dtype == torch.float32
    assert call("convert", str(new), str(new), "--max-shard-size", "100KB")[0] == 0
    assert not (new / "model.safetensors").exists()
    assert call("compare", str(toy), str(new))[0] == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_convert_to_fewer_bits(call: Any, toy: Path, tmp_path: Path) -> None:
    code, out, err = call("convert", str(toy), str(tmp_path / "small"), "--quantize", "int8", "--dtype", "float16")
    assert (code, out, err) == (0, f"{tmp_path / 'small'}\n", "")
    assert (tmp_path / "small" / "model.safetensors").stat().st_size < (toy / "model.safetensors").stat().st_size
    assert json.loads(call("inspect", str(tmp_path / "small"), "--json")[1])["weights"]["quantised"] == "int8"
    assert call("compare", str(toy), str(tmp_path / "small"), "--tolerance", "0.5")[0] == 0
    code, _, err = call("convert", str(tmp_path / "small"), str(tmp_path / "x"), "--dtype", "float32")
    assert code == 1
    assert "quantised" in err
    assert not (tmp_path / "x").exists()


def test_a_failed_convert_leaves_the_target_as_it_was(call: Any, toy: Path, tmp_path: Path) -> None:
    (toy / "model.safetensors").write_bytes(b"no weights")
    target = tmp_path / "target"
    target.mkdir()
    (target / "mine.txt").write_text("here")
    code, _, err = call("convert", str(toy), str(target))
    assert code == 1
    assert "model.safetensors" in err
    assert [path.name for path in target.iterdir()] == ["mine.txt"]


# --- compare ------------------------------------------------------------------------------------------------------


def test_compare(call: Any, toy: Path, tmp_path: Path) -> None:
    code, out, err = call("compare", str(toy), str(toy))
    assert (code, err) == (0, "")
    assert "equal within the tolerance" in out
    model = AutoModelForSequenceClassification.from_pretrained(toy)
    with torch.no_grad():
        model.head.out.bias[0] += 1
    model.save_pretrained(tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(toy / name, tmp_path / "other")
    code, out, _ = call("compare", str(toy), str(tmp_path / "other"), "--json", "--text", "I love it")
    found = json.loads(out)
    assert (code, found["equal"]) == (1, False)
    rows = {row["output"]: row for row in found["outputs"]}
    assert rows["logits"]["difference"] == pytest.approx(1, abs=1e-2)
    assert rows["token ids"]["equal"] is True
    assert call("compare", str(toy), str(tmp_path / "other"), "--tolerance", "2")[0] == 0
    assert call("compare", str(toy), str(toy), "--task", "base")[0] == 1


@pytest.mark.parametrize(
    ("family", "task"),
    [
        ("t5", "seq2seq-lm"),
        ("vit", "image-classification"),
        ("clip", "zero-shot-image-classification"),
        ("gpt2", "base"),
    ],
)
def test_compare_models_of_every_kind(call: Any, family: str, task: str, tmp_path: Path) -> None:
    small_checkpoint(tmp_path, family, task)
    code, out, err = call("compare", str(tmp_path), str(tmp_path), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["outputs"]


# --- download -----------------------------------------------------------------------------------------------------


def headless(hub: Hub, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command line in a process whose hub is the one on loopback."""
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(cache), "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-m", "headway", *arguments]
    env = {**os.environ, "HF_HUB_OFFLINE": "0", **settings, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


def test_download(hub: Hub, toy: Path, tmp_path: Path) -> None:
    (toy / "pytorch_model.bin").write_bytes(b"x")
    (toy / "tf_model.h5").write_bytes(b"x")
    (toy / "onnx").mkdir()
    (toy / "onnx" / "model.onnx").write_bytes(b"x")
    (toy / "1_Pooling").mkdir()
    (toy / "1_Pooling" / "config.json").write_text("{}")
    hub.add("some/toy", toy)
    done = headless(hub, tmp_path / "cache", "download", "some/toy")
    assert (done.returncode, done.stderr) == (0, "")
    place = Path(done.stdout.strip())
    assert (place / "model.safetensors").is_file()
    assert (place / "1_Pooling" / "config.json").is_file()
    sent = {name for name, _ in hub.ranges}
    assert not {"pytorch_model.bin", "tf_model.h5", "onnx/model.onnx"} & sent
    hub.requests.clear()
    done = headless(hub, tmp_path / "cache", "download", "some/toy", "--to", str(tmp_path / "here"), "--json")
    assert json.loads(done.stdout)["path"] == str(tmp_path / "here")
    assert not (tmp_path / "here" / "model.safetensors").is_symlink()
    assert [line for line in hub.requests if "resolve" in line] == []
    done = headless(hub, tmp_path / "cache", "download", "some/nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")


# --- chat ---------------------------------------------------------------------------------------------------------


def test_chat_answers_stdin(call: Any, writer: str) -> None:
    options = ("--max-new-tokens", "8", "--temperature", "0")
    code, out, err = call("chat", writer, *options, stdin="I love this movie")
    assert (code, err) == (0, "")
    code, as_json, _ = call("chat", writer, *options, "--json", stdin="I love this movie")
    assert json.loads(as_json)["answer"].strip() == out.strip()
    assert call("chat", writer, stdin="")[0] == 2
    assert TOY is not None
    code, _, err = call("chat", str(TOY), stdin="x")
    assert code == 1
    assert "chat template" in err


def test_chat_in_a_terminal(call: Any, writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = iter(["I love", "", "/what", "/reset", "good \\", "bad", "/exit"])
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    monkeypatch.setattr("headway.cli.chat._is_terminal", lambda: True)
    code, out, err = call("chat", writer, "--max-new-tokens", "3", "--temperature", "0")
    assert code == 0
    assert out.count("\n") == 2
    assert "There is no command /what" in err
    assert list(said) == []


def test_turns_go_on_in_one_cache(writer: str) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(writer), AutoTokenizer.from_pretrained(writer)
    talk = Talk(model, tokenizer, max_new_tokens=5, do_sample=False)
    seen: list[int] = []
    inner = model._decoded
    model._decoded = lambda tokens, run: seen.append(tokens.ids.shape[1]) or inner(tokens, run)
    answers = [talk.say(text, stream=False) for text in ("I love this movie", "good", "bad")]
    assert max(seen[5:]) < talk._cache.get_seq_length() // 2
    again = Talk(model, tokenizer, max_new_tokens=5, do_sample=False)
    for text, answer in zip(("I love this movie", "good", "bad"), answers, strict=True):
        again._start()  # without a past
        assert again.say(text, stream=False) == answer
    talk.reset()
    assert talk.say("I love this movie", stream=False) == answers[0]


def test_a_recurrent_model_talks_too(tmp_path: Path, writer: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(writer)
    talk = Talk(small_model("mamba2", "causal-lm", vocab_size=600), tokenizer, max_new_tokens=4, do_sample=False)
    first = talk.say("I love", stream=False)
    talk.say("good", stream=False)
    talk.reset()
    assert talk.say("I love", stream=False) == first


# --- completion ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(call: Any, shell: str) -> None:
    code, out, err = call("completion", shell)
    assert (code, err) == (0, "")
    assert "_HEADWAY_COMPLETE" in out
    assert call("completion", "tcsh")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "start", "want"),
    [
        ([], "ins", {"inspect"}),
        (["run"], "text-c", {"text-classification"}),
        (["families"], "deb", {"deberta", "deberta-v2"}),
        (["inspect"], "--t", {"--tokens"}),
    ],
)
def test_completions(arguments: list[str], start: str, want: set[str]) -> None:
    found = ShellComplete(headway, {}, "headway", "_HEADWAY_COMPLETE").get_completions(arguments, start)
    assert {item.value for item in found} == want


# --- all ----------------------------------------------------------------------------------------------------------


def test_a_family_of_one(call: Any) -> None:
    code, out, _ = call("families", "gpt2", "--json")
    assert code == 0
    assert json.loads(out)["causal-lm"] == "GPT2LMHeadModel"
    assert "GPT2LMHeadModel" in call("families", "gpt2")[1]
    code, _, err = call("families", "gtp2")
    assert code == 1
    assert "Did you mean 'gpt2'?" in err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples(call: Any, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0
    assert f"headway {command}" in out.split("Examples:")[1]
