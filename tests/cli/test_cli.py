"""The command line: what it prints where, and how it leaves."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import headway
from headway.cli.main import COMMANDS, main
from headway.embedded import folder
from headway.pipelines.base import pipelines
from small import small_checkpoint

SENTENCE = "My name is Wolfgang and I live in Berlin"
# One call of each task, and what is in its answer.
REPORT = "A fire broke out in a school in Hamburg on Monday. Many people watched. Nobody was hurt."
CALLS: dict[str, tuple[list[str], str]] = {
    "text-classification": (["I love this movie!"], "POSITIVE"),
    "token-classification": ([SENTENCE, "--aggregation-strategy", "simple"], "Wolfgang"),
    "question-answering": (["--question", "Where does Wolfgang live?", "--context", SENTENCE], "Berlin"),
    "fill-mask": (["The capital of France is [MASK]."], "paris"),
    "feature-extraction": ([SENTENCE], "x 64"),
    "text2text-generation": (["translate English to German: Good morning!"], "Guten Morgen!"),
    "translation": (["Hello how are you"], "Hallo, wie geht es dir?"),
    "summarization": ([REPORT], "Fire in a school in Hamburg"),
}


class Result(NamedTuple):
    """What a call left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the command line in this process, with a text as stdin."""

    def run(*arguments: str, stdin: str | bytes = "") -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        out, err = capsys.readouterr()
        return Result(int(left.value.code or 0), out, err)

    return run


def shell(*arguments: str, stdin: str = "", **environment: str) -> Result:
    """Call it as users do, in a process of its own that may open no socket."""
    guard = "import socket\ndef no(*_): raise SystemExit('a socket was asked for')\nsocket.socket.connect = no\n"
    code = f"{guard}import sys\nfrom headway.cli.main import main\nmain(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )
    return Result(done.returncode, done.stdout, done.stderr)


# --- tasks --------------------------------------------------------------------------------------------------------


def test_images_are_named_by_their_files(call: Any, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    model = small_checkpoint(tmp_path / "model", "vit", "image-classification", num_labels=3)
    headway.ImageProcessor(size=8).save_pretrained(tmp_path / "processor")
    shutil.copy(tmp_path / "processor" / "preprocessor_config.json", model)
    files = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for number, file in enumerate(files):
        image.new("RGB", (20, 10), (90 * number, 30, 200)).save(file)
    done = call("run", "image-classification", "--model", str(model), "--top-k", "2", "--jsonl", *files)
    assert (done.code, done.err) == (0, "")
    assert [len(json.loads(line)) for line in done.out.splitlines()] == [2, 2]
    shown = call("run", "image-classification", "--model", str(model), stdin="\n".join(files))
    assert "a.png" in shown.out
    assert "b.png" in shown.out
    assert "LABEL_0" in shown.out
    missing = call("run", "image-classification", "--model", str(model), "c.png")
    assert missing.code == 1
    assert "'c.png' cannot be read as an image" in missing.err


def test_tasks_that_are_called_have_small_models() -> None:
    assert set(CALLS) <= {task for task in pipelines() if folder(task)}


@pytest.mark.parametrize("task", CALLS)
def test_each_task_on_its_small_model(call: Any, task: str) -> None:
    arguments, want = CALLS[task]
    done = call("run", task, *arguments)
    assert done.code == 0
    assert done.err == ""
    assert want in done.out


@pytest.mark.parametrize("task", CALLS)
def test_each_task_on_a_folder(call: Any, task: str, tmp_path: Path) -> None:
    source = folder(task)
    assert source is not None
    shutil.copytree(source, tmp_path / "model")
    arguments, _ = CALLS[task]
    want = call("run", task, *arguments, "--json")
    done = call("run", task, "--model", str(tmp_path / "model"), *arguments, "--json")
    assert done == want
    assert done.code == 0
    json.loads(done.out)


@pytest.mark.parametrize("task", CALLS)
def test_json_is_the_pipelines_answer(call: Any, task: str) -> None:
    arguments, _ = CALLS[task]
    done = call("run", task, *arguments, "--json")
    run = headway.pipeline(task)
    options = {"aggregation_strategy": "simple"} if task == "token-classification" else {}
    given = (
        {"question": "Where does Wolfgang live?", "context": SENTENCE} if task == "question-answering" else arguments[0]
    )
    assert json.loads(done.out) == run(given, **options)


def test_aliases(call: Any) -> None:
    assert "POSITIVE" in call("run", "sentiment-analysis", "good").out
    assert "Berlin" in call("run", "ner", SENTENCE, "--aggregation-strategy", "first").out


def test_in_a_process_of_its_own_without_a_network() -> None:
    done = shell("run", "text-classification", "I love this movie!", "--json")
    assert done.err == ""
    assert done.code == 0
    assert json.loads(done.out)[0]["label"] == "POSITIVE"


# --- where inputs come from ---------------------------------------------------------------------------------------


def labels(result: Result) -> list[str]:
    return [row["label"] for row in json.loads(result.out)]


def test_lines_of_stdin(call: Any) -> None:
    text = "I love it\n\nI hate it\n  What a waste of time.  \n"
    want = ["POSITIVE", "NEGATIVE", "NEGATIVE"]
    assert labels(call("run", "text-classification", "--json", stdin=text)) == want
    assert labels(call("run", "text-classification", "-", "--json", stdin=text)) == want
    assert labels(call("run", "text-classification", "good", "-", "--json", stdin=text)) == ["POSITIVE", *want]


def test_one_line_of_stdin_is_a_list_of_one(call: Any) -> None:
    assert labels(call("run", "text-classification", "--json", stdin="good\n")) == ["POSITIVE"]


def test_json_lines_come_in_order(call: Any) -> None:
    done = call("run", "text-classification", "--jsonl", stdin="good\nbad\n" * 20)
    assert [json.loads(line)["label"] for line in done.out.splitlines()] == ["POSITIVE", "NEGATIVE"] * 20


def test_files(call: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good\nbad\n")
    (tmp_path / "b.txt").write_text("It was wonderful.")
    done = call(
        "run", "text-classification", "-f", str(tmp_path / "a.txt"), "--file", str(tmp_path / "b.txt"), "--json"
    )
    assert labels(done) == ["POSITIVE", "NEGATIVE", "POSITIVE"]


def test_a_context_is_a_whole_file(call: Any, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("My name is Wolfgang\nand I live in Berlin\n")
    ask = ("run", "question-answering", "--question", "Where does Wolfgang live?", "--json")
    from_file = call(*ask, "--file", str(tmp_path / "letter.txt"))
    assert [row["answer"] for row in json.loads(from_file.out)] == ["Berlin"]
    piped = call(*ask, stdin="My name is Wolfgang\nand I live in Berlin\n")
    assert json.loads(piped.out) == json.loads(from_file.out)
    assert json.loads(call(*ask, SENTENCE).out)["answer"] == "Berlin"


def test_several_inputs_make_one_table(call: Any) -> None:
    done = call("run", "text-classification", "good", "bad")
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines] == ["text", "good", "bad"]
    assert [line.split()[1] for line in lines[1:]] == ["POSITIVE", "NEGATIVE"]


def test_a_text_with_nothing_in_it_has_a_row_too(call: Any) -> None:
    done = call("run", "ner", "the river is deep", SENTENCE, "--aggregation-strategy", "simple")
    assert "the river is deep" in done.out
    assert "nothing found" in call("run", "ner", "the river is deep").out


# --- options ------------------------------------------------------------------------------------------------------


def test_options_of_the_task(call: Any) -> None:
    assert len(json.loads(call("run", "text-classification", "good", "--top-k", "all", "--json").out)) == 2
    assert len(json.loads(call("run", "fill-mask", "a [MASK]", "--top-k", "3", "--json").out)) == 3
    two = call(
        "run", "fill-mask", "The capital of France is [MASK].", "--targets", "paris", "--targets", "rome", "--json"
    )
    assert [row["token_str"] for row in json.loads(two.out)] == ["paris", "rome"]
    vector = json.loads(call("run", "feature-extraction", SENTENCE, "--pooling", "mean", "--json").out)
    assert len(vector) == 64
    ask = ("run", "question-answering", "--question", "Where?", SENTENCE, "--json", "--top-k", "3")
    assert len(json.loads(call(*ask).out)) == 3
    pieces = json.loads(call("run", "ner", SENTENCE, "--ignore-labels", "B-LOC", "--ignore-labels", "O", "--json").out)
    assert pieces
    assert not [row for row in pieces if row["entity"] in ("O", "B-LOC")]


@pytest.mark.parametrize("task", pipelines())
def test_help_names_every_option(call: Any, task: str) -> None:
    done = call("run", task, "--help")
    assert done.code == 0
    kind = pipelines()[task]
    for one in dataclasses.fields(kind.Options):
        assert (f"--{one.name.replace('_', '-')}" in done.out) == (one.metadata["kind"] is not None)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model that writes, with a tokenizer that comes with headway."""
    place, tokenizer = tmp_path_factory.mktemp("writer") / "model", folder("token-classification")
    assert tokenizer is not None
    small_checkpoint(place, "t5", "seq2seq-lm", vocab_size=1200)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer / name, place)
    return str(place)


@pytest.mark.parametrize(
    ("task", "key"),
    [
        ("text2text-generation", "generated_text"),
        ("summarization", "summary_text"),
        ("translation", "translation_text"),
        ("translation_en_to_de", "translation_text"),
    ],
)
def test_tasks_that_write(call: Any, writer: str, task: str, key: str) -> None:
    options = ("--model", writer, "--max-new-tokens", "4", "--num-beams", "2")
    done = call("run", task, "deep water", *options, "--json")
    assert done.code == 0, done.err
    assert list(json.loads(done.out)[0]) == [key]
    assert key in call("run", task, "deep water", *options).out
    two = call("run", task, "a", "b", *options, "--num-return-sequences", "2", "--temperature", "0.5", "--jsonl")
    assert [len(json.loads(line)) for line in two.out.splitlines()] == [2, 2]


def test_tasks_that_compare(call: Any) -> None:
    model = ("--model", str(folder("feature-extraction")))
    near = call("run", "sentence-similarity", "--source-sentence", "I love it", "I love it", "no", *model, "--json")
    assert [answer[0] for answer in json.loads(near.out)] == [pytest.approx(1), pytest.approx(0, abs=0.999)]
    new = ("--model", str(folder("fill-mask")), "--allow-new-head", "--json")
    chosen = call("run", "multiple-choice", "a", "--choices", "b", "--choices", "c", *new)
    assert {row["choice"] for row in json.loads(chosen.out)} == {"b", "c"}
    follows = call("run", "next-sentence-prediction", "a", "--text-pair", "b", *new)
    assert json.loads(follows.out)["label"] in ("IsNext", "NotNext")


@pytest.mark.parametrize("labels", [["food, sports"], ["food", "sports"]])
def test_labels_of_ones_own(call: Any, labels: list[str]) -> None:
    said = [part for label in labels for part in ("--candidate-labels", label)]
    found = json.loads(call("run", "zero-shot-classification", "The chef roasted the chicken.", *said, "--json").out)
    assert found["labels"] == ["food", "sports"]


def test_lines_of_what_is_written_stay_lines(call: Any) -> None:
    options = ("--no-do-sample", "--max-new-tokens", "2", "--return-full-text")
    done = call("run", "text-generation", "import os\nimport sys\n", *options)
    assert done.out.startswith("generated_text\nimport os\nimport sys\n")


# --- what goes wrong ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "text-classification", "x", "--model", "no/such-folder/here"], "no/such-folder/here"),
        (["run", "fill-mask", "no mask here"], "[MASK]"),
        (["run", "token-classification", "x", "--model", str(folder("fill-mask"))], "no trained head"),
        (["run", "fill-mask", "a [MASK]", "--targets", "zyzzyva"], "zyzzyva"),
        (["run", "text-classification", "x", "--device", "moon"], "moon"),
        (["run", "zero-shot-image-classification", "x.png", "--candidate-labels", "a"], "(--model)"),
        (["run", "translation_en_to_fr", "x"], "no small model for translation_en_to_fr"),
        (["run", "translation", "x", "--tgt-lang", "fr"], "no small model for translation_to_fr"),
    ],
)
def test_errors_are_one_line_on_stderr(call: Any, arguments: list[str], words: str) -> None:
    done = call(*arguments)
    assert done.code == 1
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert done.err.count("\n") == 1
    assert words in done.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rnu"], "Did you mean 'run'"),
        (["run", "text-clasification", "x"], "Did you mean 'text-classification'"),
        (["run", "xyz", "x"], "There are feature-extraction"),
        (["run", "text-classification", "x", "--topk", "2"], "--top-k"),
        (["run", "text-classification", "x", "--top-k", "0"], "0"),
        (["run", "text-classification", "x", "--json", "--jsonl"], "exclude"),
        (["run", "question-answering", SENTENCE], "--question"),
        (["run", "ner", "x", "--aggregation-strategy", "most"], "most"),
        (["run", "text-classification", "--file", "no-such-file.txt"], "no-such-file.txt"),
        (["run", "text-classification", "--json"], "no input"),
    ],
)
def test_misuse(call: Any, arguments: list[str], words: str) -> None:
    done = call(*arguments)
    assert done.code == 2
    assert done.out == ""
    assert words in done.err


def test_a_file_that_is_no_text(call: Any) -> None:
    done = call("run", "text-classification", stdin=b"\xff\xfe\x00")
    assert done.code == 1
    assert "UTF-8" in done.err


def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    command = f"yes good | head -3000 | {sys.executable} -m headway run text-classification --jsonl | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout)["label"] == "POSITIVE"
    assert done.stderr == ""


def test_a_new_head_where_it_is_asked_for(call: Any) -> None:
    done = call("run", "token-classification", "x", "--model", str(folder("fill-mask")), "--allow-new-head", "--json")
    assert done.code == 0
    assert done.err == ""


# --- the other commands -------------------------------------------------------------------------------------------


def test_version_and_help(call: Any) -> None:
    assert call("--version").out == f"headway {headway.__version__}\n"
    for arguments in (["--help"], ["-h"], ["run", "--help"]):
        assert call(*arguments).code == 0
    page = call("--help").out
    assert all(name in page for name in COMMANDS)
    assert "headway run text-classification" in page


def test_families_and_tasks(call: Any) -> None:
    found = json.loads(call("families", "--json").out)
    assert found == {
        name: list(tasks)
        for name, tasks in ((n, headway.models.plan.tasks_of(f)) for n, f in headway.registry.families().items())
    }
    table = call("families").out
    assert all(name in table for name in found)
    listed = json.loads(call("tasks", "--json").out)
    assert set(listed) == set(pipelines())
    assert listed["fill-mask"]["embedded"] is True
    assert all(task in call("tasks").out for task in listed)


def test_env(call: Any) -> None:
    found = json.loads(call("env", "--json").out)
    assert found["headway"] == headway.__version__
    assert {"torch", "python", "tokenizers", "gpus"} <= set(found)
    assert call("env").out.splitlines()[0].split() == ["headway", headway.__version__]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["run", "ner", "--help"], ["tasks"], ["--version"]]
)
def test_the_command_line_tells_of_itself_without_torch(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom headway.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as left:\n"
        "    assert left.code == 0\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=60)


def test_as_a_module_and_as_a_script() -> None:
    module = subprocess.run([sys.executable, "-m", "headway", "--version"], capture_output=True, text=True, check=True)
    script = Path(sys.executable).with_name("headway")
    assert module.stdout == f"headway {headway.__version__}\n"
    if script.exists():
        assert subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout == module.stdout


def test_colour_is_for_terminals(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from headway.cli import show

    assert "\x1b" not in call("run", "text-classification", "good").out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" in show.bold("x")
    monkeypatch.setenv("NO_COLOR", "1")
    assert show.bold("x") == "x"


def test_verbose_shows_the_log(call: Any) -> None:
    done = shell(
        "--verbose",
        "run",
        "token-classification",
        "x",
        "--model",
        str(folder("fill-mask")),
        "--allow-new-head",
        "--json",
    )
    assert done.code == 0
    assert "not in the checkpoint: initialised" in done.err
    json.loads(done.out)
