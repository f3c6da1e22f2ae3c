"""Bad input: one sentence of headway's own, naming file or argument; nothing run, nothing read outside the folder."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import headway
from headway import AutoConfig, AutoModel, AutoModelForSequenceClassification, errors
from headway.errors import CheckpointError, ConfigError, HeadwayError, InputError, WeightsError
from small import inputs_for, one_sentence, small_checkpoint, small_config, small_model

IDS = torch.tensor([[5, 6, 7], [8, 9, 2]])
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 440449768\n"
HTML = b"<!DOCTYPE html><html><head><title>503</title></head></html>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "model", "bert")


def refused(folder: Path, kind: type[HeadwayError], *parts: object, load: Any = AutoModel, **options: Any) -> str:
    """Loading fails with an error of ``kind``, one sentence that holds ``parts``."""
    with pytest.raises(HeadwayError) as caught:
        load.from_pretrained(folder, **options)
    assert isinstance(caught.value, kind)
    text = one_sentence(caught.value)
    for part in parts:
        assert str(part) in text, text
    return text


# --- the tree -----------------------------------------------------------------------------------------------------


def test_the_tree_of_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert len(kinds) >= 7
    assert all(issubclass(kind, HeadwayError) and kind.__doc__ for kind in kinds)
    assert issubclass(CheckpointError, OSError)
    assert issubclass(ConfigError, ValueError)
    assert issubclass(InputError, ValueError)
    assert issubclass(WeightsError, CheckpointError)
    for kind in kinds:
        assert getattr(headway, kind.__name__) is kind


# --- weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 2000, -1])
def test_truncated_weights(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(folder, WeightsError, path)


@pytest.mark.parametrize("length", [2**63 - 1, 2**64 - 1, 10**9, 99_999_999])
def test_a_giant_header(folder: Path, length: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b"{}")
    refused(folder, WeightsError, path, "header")


@pytest.mark.parametrize(
    "header",
    [
        b"[1]",
        b"{",
        b'{"a": 1}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}',
        b'{"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 8]}}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}}',
    ],
)
def test_a_header_that_lies(folder: Path, header: bytes) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    refused(folder, WeightsError, path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(("content", "said"), [(LFS, "Git-LFS pointer"), (HTML, "HTML page"), (b"", "empty")])
def test_what_is_no_file_of_weights(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    refused(folder, WeightsError, folder / name, said)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    refused(folder, WeightsError, "model.safetensors", folder)
    (folder / "tf_model.h5").write_bytes(b"x")
    refused(folder, WeightsError, "tf_model.h5", "TensorFlow")


def shard(folder: Path) -> dict[str, Any]:
    small_model("bert").save_pretrained(folder, max_shard_size="4KB")
    index: dict[str, Any] = json.loads((folder / "model.safetensors.index.json").read_text())
    return index


def test_a_missing_shard(folder: Path) -> None:
    shard(folder)
    lost = sorted(folder.glob("model-*.safetensors"))[1]
    lost.unlink()
    refused(folder, WeightsError, lost.name, folder)


@pytest.mark.parametrize("place", ["../secret.safetensors", "/etc/passwd", "a/../../secret.safetensors", "..\\secret"])
def test_a_shard_outside_the_folder(folder: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    index = shard(folder)
    save_file({"x": torch.ones(1)}, folder.parent / "secret.safetensors")
    index["weight_map"][next(iter(index["weight_map"]))] = place
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    opened = watch(monkeypatch)
    refused(folder, CheckpointError, place if "\\" not in place else "secret")
    assert all(Path(path).resolve().is_relative_to(folder) for path in opened), opened


def test_an_index_that_is_none(folder: Path) -> None:
    shard(folder)
    for content in ("{}", '{"weight_map": []}', '{"weight_map": {"a": 1}}', "nonsense"):
        (folder / "model.safetensors.index.json").write_text(content)
        refused(folder, WeightsError, "model.safetensors.index.json")


def watch(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that are opened from now on."""
    opened: list[str] = []
    real = builtins.open, Path.open

    def note(path: Any) -> None:
        if isinstance(path, str | os.PathLike) and ".venv" not in os.fspath(path):
            opened.append(os.fspath(path))

    monkeypatch.setattr(builtins, "open", lambda path, *a, **k: (note(path), real[0](path, *a, **k))[1])
    monkeypatch.setattr(Path, "open", lambda path, *a, **k: (note(path), real[1](path, *a, **k))[1])
    return opened


class Evil:
    """Unpickled, it makes the folder that it was told."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("as_torch_file", [True, False])
def test_a_pickle_that_would_run_code(folder: Path, as_torch_file: bool) -> None:
    (folder / "model.safetensors").unlink()
    mark, path = folder.parent / "ran", folder / "pytorch_model.bin"
    content = {"embeddings.word_embeddings.weight": torch.ones(2), "x": Evil(mark)}
    if as_torch_file:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=2))
    refused(folder, WeightsError, path)
    assert not mark.exists()
    assert pickle.loads(pickle.dumps(Evil(mark))) is None, "it would have run"
    assert mark.exists()


def test_code_beside_the_weights_is_not_run(folder: Path) -> None:
    mark = folder.parent / "ran"
    for name in ("modeling_bert.py", "configuration_bert.py", "__init__.py", "modeling_evil.py"):
        (folder / name).write_text(f"import os; os.mkdir({str(mark)!r})")
    values = json.loads((folder / "config.json").read_text())
    values["auto_map"] = {"AutoConfig": "configuration_bert.C", "AutoModel": "modeling_bert.M"}
    (folder / "config.json").write_text(json.dumps(values))
    assert type(AutoModel.from_pretrained(folder)).__name__ == "BertModel"
    refused(folder, InputError, "trust_remote_code=True", trust_remote_code=True)
    values["model_type"] = "evil"
    (folder / "config.json").write_text(json.dumps(values))
    refused(folder, ConfigError, "evil")
    assert not mark.exists()


# --- configs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{'model_type': 'bert'}", "not valid JSON"),
        (b"", "empty"),
        (HTML, "HTML page"),
        (LFS, "Git-LFS pointer"),
        (b"[1, 2]", "list"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
    ],
)
@pytest.mark.parametrize("load", [AutoModel, AutoConfig, headway.BertConfig, headway.BertModel])
def test_a_config_that_is_none(folder: Path, content: bytes, said: str, load: Any) -> None:
    (folder / "config.json").write_bytes(content)
    refused(folder, ConfigError, folder / "config.json", said, load=load)


def test_an_unknown_model_type(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "brt"}')
    for load in (AutoModel, AutoConfig, AutoModelForSequenceClassification):
        refused(folder, ConfigError, "'brt'", "Did you mean 'bert'?", load=load)


def test_a_model_type_that_is_no_text(folder: Path) -> None:
    for value in (5, ["bert"], {"a": 1}):
        (folder / "config.json").write_text(json.dumps({"model_type": value}))
        refused(folder, ConfigError, "model_type", load=AutoConfig)


def write_config(folder: Path, **changes: Any) -> None:
    values = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in values.items() if v is not ...}))


@pytest.mark.parametrize(
    ("model_type", "task"),
    [("bert", "base"), ("roberta", "masked-lm"), ("deberta-v2", "base"), ("distilbert", "base"), ("t5", "seq2seq-lm")],
)
def test_a_model_type_from_the_architectures(tmp_path: Path, model_type: str, task: str) -> None:
    folder = small_checkpoint(tmp_path, model_type, task)
    write_config(folder, model_type=...)
    assert AutoConfig.from_pretrained(folder).model_type == model_type
    assert AutoModel.from_pretrained(folder).config.model_type == model_type


@pytest.mark.parametrize(
    "model_type", ["bert", "roberta", "distilbert", "electra", "albert", "deberta", "deberta-v2", "mpnet", "esm", "vit"]
)
def test_a_model_type_from_the_names_of_weights(tmp_path: Path, model_type: str) -> None:
    task = "image-classification" if model_type == "vit" else "sequence-classification"
    folder = small_checkpoint(tmp_path, model_type, task)
    write_config(folder, model_type=..., architectures=...)
    assert AutoConfig.from_pretrained(folder).model_type == model_type


def test_a_model_type_that_nothing_tells(folder: Path) -> None:
    write_config(folder, model_type=..., architectures=["SomethingElse"])
    refused(folder, ConfigError, "model_type", "config.json", folder)
    (folder / "model.safetensors").unlink()
    refused(folder, ConfigError, "model_type", load=AutoConfig)


def test_a_config_that_contradicts_itself(folder: Path) -> None:
    for changes in ({"num_attention_heads": 3}, {"hidden_act": "gellu"}, {"num_attention_heads": 0}):
        with pytest.raises(HeadwayError) as caught:
            AutoModel.from_config(small_config("bert", **changes))
        one_sentence(caught.value)
    with pytest.raises(HeadwayError, match="gelu"):
        AutoModel.from_pretrained(folder, hidden_act="gellu")
    with pytest.raises(HeadwayError):
        AutoModel.from_config(small_config("llama", num_key_value_heads=3))


@pytest.mark.parametrize(
    ("name", "value"), [("hidden_size", "wide"), ("num_hidden_layers", None), ("num_attention_heads", "2")]
)
def test_a_field_of_the_wrong_type(folder: Path, name: str, value: Any) -> None:
    write_config(folder, **{name: value})
    refused(folder, ConfigError, name)


# --- places -------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "my_model").mkdir()
    refused(tmp_path / "my_modle", CheckpointError, tmp_path / "my_modle", "Did you mean 'my_model'?")
    refused(tmp_path / "my_model", CheckpointError, "config.json", tmp_path / "my_model")


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    refused(folder / "model.safetensors", CheckpointError, "give the folder")


@pytest.mark.parametrize("name", ["", "a b", "bert-base-uncased ", "http://x/y", "x" * 200])
def test_a_name_that_is_no_id(name: str) -> None:
    refused(name, CheckpointError)  # type: ignore[arg-type]


def test_offline_names_the_cache(tmp_path: Path) -> None:
    refused("no/such", CheckpointError, tmp_path, local_files_only=True, cache_dir=tmp_path)  # type: ignore[arg-type]


# --- arguments of from_pretrained ---------------------------------------------------------------------------------


def test_an_unknown_argument_of_from_pretrained(folder: Path) -> None:
    refused(folder, InputError, "'num_labls'", "Did you mean 'num_labels'?", num_labls=3)
    refused(folder, InputError, "'zzz'", zzz=3)
    refused(folder, InputError, "'atn_implementation'", "attn_implementation", atn_implementation="eager")
    refused(folder, InputError, "'torch_dtyp'", "torch_dtype", torch_dtyp="float16")


def test_wrong_values_of_from_pretrained(folder: Path) -> None:
    refused(folder, InputError, "dtype='int'", dtype="int")
    refused(folder, InputError, "device_map='nowhere'", device_map="nowhere")
    refused(folder, ConfigError, "attn_implementation='flash'", attn_implementation="flash")
    refused(folder, ConfigError, "num_labels=0", num_labels=0, load=AutoModelForSequenceClassification)
    refused(folder, ConfigError, "num_labels=-1", num_labels=-1, load=AutoModelForSequenceClassification)


# --- arguments of forward -----------------------------------------------------------------------------------------


def wrong(model: Any, *parts: str, kind: type[HeadwayError] = InputError, **inputs: Any) -> str:
    with pytest.raises(HeadwayError) as caught:
        model(**inputs)
    assert isinstance(caught.value, kind)
    text = one_sentence(caught.value)
    for part in parts:
        assert part in text, text
    return text


MODELS = ["bert", "gpt2", "llama", "t5", "distilbert", "deberta-v2"]


@pytest.mark.parametrize("model_type", MODELS)
def test_ids_without_a_batch_axis(model_type: str) -> None:
    model = small_model(model_type)
    text = wrong(model, input_ids=IDS[0])
    assert text.startswith("Expected input_ids to have shape [batch, seq_len], got [3]")
    assert wrong(model, input_ids=IDS[None]).startswith(
        "Expected input_ids to have shape [batch, seq_len], got [1, 2, 3]"
    )
    wrong(model, "input_ids", input_ids=torch.tensor(5))
    wrong(model, "no token", input_ids=torch.zeros(1, 0, dtype=torch.int64))
    wrong(model, "no token", input_ids=torch.zeros(0, 3, dtype=torch.int64))


@pytest.mark.parametrize("model_type", MODELS)
@pytest.mark.parametrize(("id", "said"), [(60, "60"), (10**6, "1000000"), (-1, "-1"), (-100, "-100")])
def test_ids_beyond_the_vocabulary(model_type: str, id: int, said: str) -> None:
    model = small_model(model_type)
    ids = IDS.clone()
    ids[1, 1] = id
    wrong(model, "input_ids", said, "0 to 59", input_ids=ids)
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    wrong(model, "input_ids", said, "0 to 59", input_ids=ids, attention_mask=mask)


def test_ids_that_are_no_tensor_of_integers() -> None:
    model = small_model("bert")
    wrong(model, "input_ids", input_ids=[[5, 6]])
    wrong(model, "input_ids", input_ids=IDS.float())
    wrong(model, "input_ids", input_ids="text")
    wrong(model, "input_ids", input_ids=IDS.numpy())
    assert model(input_ids=IDS.int())[0].shape == (2, 3, 16)


def test_an_id_in_padding_is_not_looked_at() -> None:
    """Labels' -100, or anything else, may stand where the mask says that nothing does."""
    model = small_model("bert")
    ids = IDS.clone()
    ids[0, 2] = -100
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    assert torch.equal(model(input_ids=ids, attention_mask=mask)[0], model(input_ids=IDS, attention_mask=mask)[0])


@pytest.mark.parametrize("model_type", ["bert", "roberta", "gpt2", "distilbert", "bart"])
@pytest.mark.parametrize("padded", [False, True])
def test_an_input_longer_than_the_positions(model_type: str, padded: bool) -> None:
    model = small_model(model_type)
    ids = torch.full((2, 30), 5)
    ids[:, -1] = 2
    mask = torch.ones_like(ids)
    if padded:
        mask[0, :3] = 0
    wrong(model, "30 tokens", "truncation=True", input_ids=ids, attention_mask=mask)


def test_positions_without_a_table_go_on() -> None:
    for model_type in ("llama", "t5"):
        assert small_model(model_type)(input_ids=torch.full((1, 40), 5))[0].shape[1] == 40


def test_padding_does_not_count_as_length() -> None:
    model = small_model("bert")
    ids, mask = torch.full((1, 30), 5), torch.zeros(1, 30)
    mask[0, :4] = 1
    assert model(input_ids=ids, attention_mask=mask)[0].shape == (1, 30, 16)


@pytest.mark.parametrize("shape", [(2, 2), (1, 3), (3, 3), (3,), (2, 3, 1, 1, 1)])
def test_a_mask_of_another_shape(shape: tuple[int, ...]) -> None:
    for model_type in ("bert", "llama", "t5"):
        text = wrong(small_model(model_type), "attention_mask", input_ids=IDS, attention_mask=torch.ones(shape))
        assert text.startswith("Expected attention_mask to have shape [2, 3]")
        assert str(list(shape)) in text


def test_a_mask_with_a_row_of_zeros() -> None:
    mask = torch.tensor([[1, 1, 1], [0, 0, 0]])
    for model_type in ("bert", "llama", "t5"):
        wrong(small_model(model_type), "Row 1", "attention_mask", input_ids=IDS, attention_mask=mask)


def test_a_mask_that_is_no_tensor() -> None:
    wrong(small_model("bert"), "attention_mask", input_ids=IDS, attention_mask=[[1, 1, 1], [1, 1, 1]])


def test_token_types_on_a_model_without() -> None:
    types = torch.tensor([[0, 0, 1], [0, 1, 1]])
    for model_type in ("distilbert", "llama", "deberta-v2"):
        wrong(small_model(model_type), "token types", "token_type_ids", input_ids=IDS, token_type_ids=types)
        assert small_model(model_type)(input_ids=IDS, token_type_ids=types * 0)[0].shape == (2, 3, 16)
    wrong(small_model("bert"), "token_type_ids holds 5", "0 to 1", input_ids=IDS, token_type_ids=types * 5)
    wrong(small_model("t5"), "'token_type_ids'", input_ids=IDS, token_type_ids=types)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "gpt2"])
@pytest.mark.parametrize("shape", [(2, 2), (1, 4), (3,)])
def test_token_types_of_another_shape(model_type: str, shape: tuple[int, ...]) -> None:
    types = torch.zeros(shape, dtype=torch.int64)
    wrong(small_model(model_type), "token_type_ids", "[2, 3]", input_ids=IDS, token_type_ids=types)


def test_positions_of_another_shape() -> None:
    for positions in (torch.zeros(2, 2, dtype=torch.int64), torch.zeros(5, dtype=torch.int64)):
        wrong(small_model("bert"), "position_ids", "[2, 3]", input_ids=IDS, position_ids=positions)
    wrong(small_model("bert"), "position", input_ids=IDS, position_ids=torch.full((2, 3), 99))
    wrong(small_model("bert"), "position", input_ids=IDS, position_ids=torch.full((2, 3), -1))


@pytest.mark.parametrize("model_type", MODELS)
def test_both_or_neither_of_ids_and_vectors(model_type: str) -> None:
    model = small_model(model_type)
    wrong(model, "input_ids", "inputs_embeds")
    wrong(model, "input_ids", "inputs_embeds", input_ids=IDS, inputs_embeds=torch.zeros(2, 3, 16))
    text = wrong(model, "inputs_embeds", inputs_embeds=torch.zeros(3, 16))
    assert text.startswith("Expected inputs_embeds to have shape [batch, seq_len, channels], got [3, 16]")
    wrong(model, "inputs_embeds", inputs_embeds=torch.zeros(2, 3, 5))


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [
        ("input_id", "input_ids"),
        ("attention_masks", "attention_mask"),
        ("label", "labels"),
        ("output_attention", "output_attentions"),
    ],
)
def test_an_unknown_argument_of_forward(argument: str, nearest: str) -> None:
    model = small_model("bert", "sequence-classification")
    text = wrong(model, f"'{argument}'", f"Did you mean '{nearest}'?", input_ids=IDS, **{argument: torch.ones(2)})
    assert "BertForSequenceClassification" in text


def test_labels_for_a_model_without_a_head() -> None:
    wrong(small_model("bert"), "'labels'", "no head", input_ids=IDS, labels=torch.ones(2))
    model = small_model("electra", "pretraining")
    wrong(model, "labels", "[2, 3]", input_ids=IDS, labels=torch.zeros(2, 2))
    wrong(small_model("vit"), "'labels'", pixel_values=torch.zeros(1, 3, 8, 8), labels=torch.ones(1))


@pytest.mark.parametrize("label", [3, 99, -1])
def test_labels_beyond_the_classes(label: int) -> None:
    model = small_model("bert", "sequence-classification", num_labels=3)
    wrong(model, "labels", str(label), "3", input_ids=IDS, labels=torch.tensor([0, label]))
    model = small_model("bert", "token-classification", num_labels=3)
    labels = torch.zeros(2, 3, dtype=torch.int64)
    labels[0, 0], labels[1, 2] = label, -100
    wrong(model, "labels", str(label), "3", input_ids=IDS, labels=labels)


def test_labels_of_language_models_beyond_the_vocabulary() -> None:
    for model_type, task in (("bert", "masked-lm"), ("gpt2", "causal-lm")):
        wrong(small_model(model_type, task), "labels", "60", input_ids=IDS, labels=torch.full((2, 3), 60))


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("sequence-classification", torch.zeros(3, dtype=torch.int64)),
        ("sequence-classification", torch.zeros(2, 3, dtype=torch.int64)),
        ("sequence-classification", torch.zeros(2, 7)),
        ("sequence-classification", torch.tensor(1)),
        ("token-classification", torch.zeros(2, 2, dtype=torch.int64)),
        ("token-classification", torch.zeros(2, dtype=torch.int64)),
        ("masked-lm", torch.zeros(2, 4, dtype=torch.int64)),
        ("causal-lm", torch.zeros(1, 3, dtype=torch.int64)),
        ("next-sentence-prediction", torch.zeros(3, dtype=torch.int64)),
        ("pretraining", torch.zeros(1, 3, dtype=torch.int64)),
    ],
)
def test_labels_of_another_shape(task: str, labels: torch.Tensor) -> None:
    model = small_model("bert", task, num_labels=3)
    extra = {"next_sentence_label": torch.zeros(2, dtype=torch.int64)} if task == "pretraining" else {}
    wrong(model, "labels", str(list(labels.shape)), input_ids=IDS, labels=labels, **extra)


def test_labels_of_the_wrong_kind() -> None:
    model = small_model("bert", "sequence-classification", num_labels=3)
    wrong(model, "labels", input_ids=IDS, labels=[0, 1])
    wrong(model, "labels", input_ids=IDS, labels=torch.tensor([0.5, 1.0]))
    regression = small_model("bert", "sequence-classification", num_labels=1)
    assert regression(input_ids=IDS, labels=torch.tensor([0.5, 1.0])).loss.dim() == 0
    wrong(regression, "labels", "[3]", input_ids=IDS, labels=torch.ones(3))


def test_an_unknown_problem_type() -> None:
    model = small_model("bert", "sequence-classification", problem_type="multi_label")
    text = wrong(model, "'multi_label'", kind=ConfigError, input_ids=IDS, labels=torch.ones(2, 2))
    assert "multi_label_classification" in text


def test_positions_of_answers() -> None:
    model = small_model("bert", "question-answering")
    spans = torch.tensor([0, 1])
    assert model(input_ids=IDS, start_positions=spans, end_positions=spans).loss.dim() == 0
    wrong(
        model, "start_positions", input_ids=IDS, start_positions=torch.zeros(3, dtype=torch.int64), end_positions=spans
    )
    wrong(
        model, "end_positions", input_ids=IDS, start_positions=spans, end_positions=torch.zeros(2, 2, dtype=torch.int64)
    )


def test_choices() -> None:
    model = small_model("bert", "multiple-choice")
    ids = IDS[:, None].expand(2, 4, 3)
    assert model(input_ids=ids).logits.shape == (2, 4)
    wrong(model, "labels", "4", input_ids=ids, labels=torch.tensor([0, 4]))
    text = wrong(model, "input_ids", input_ids=IDS)
    assert text.startswith("Expected input_ids to have shape [batch, choices, seq_len], got [2, 3]")
    wrong(model, "attention_mask", input_ids=ids, attention_mask=torch.ones(2, 3))


def test_encoder_decoders_want_to_know_what_to_write() -> None:
    for model_type in ("t5", "bart"):
        model = small_model(model_type, "seq2seq-lm")
        wrong(model, "decoder_input_ids", "labels", input_ids=IDS)
        text = wrong(model, input_ids=IDS, decoder_input_ids=IDS[0])
        assert text.startswith("Expected decoder_input_ids to have shape [batch, seq_len], got [3]")
        wrong(model, "decoder_input_ids holds 99", input_ids=IDS, decoder_input_ids=IDS + 94)
        wrong(model, "decoder_input_ids", input_ids=IDS, decoder_input_ids=IDS[:1])
        wrong(model, "decoder_attention_mask", input_ids=IDS, decoder_input_ids=IDS, decoder_attention_mask=IDS[:, :2])


def test_a_row_without_an_end() -> None:
    ids = IDS.clone()
    ids[0] = 5
    for model_type in ("bart", "t5"):
        wrong(small_model(model_type, "sequence-classification"), "Row 0", "end-of-sequence", input_ids=ids)
        wrong(
            small_model(model_type, "sequence-classification"),
            "input_ids",
            inputs_embeds=torch.zeros(2, 3, 16),
            decoder_input_ids=ids,
        )


@pytest.mark.parametrize("shape", [(1, 3, 9, 8), (1, 1, 8, 8), (3, 8, 8), (1, 3, 16, 16)])
def test_an_image_of_another_size(shape: tuple[int, ...]) -> None:
    model = small_model("vit", "image-classification")
    text = wrong(model, pixel_values=torch.zeros(shape))
    assert "8 x 8" in text or str(list(shape)) in text
    assert model(pixel_values=torch.zeros(1, 3, 16, 16), interpolate_pos_encoding=True).logits.shape == (1, 2)


def test_an_image_that_is_none() -> None:
    model = small_model("vit")
    wrong(model, "pixel_values", pixel_values=None)
    wrong(model, "pixel_values", pixel_values=[[1.0]])
    wrong(model, "'input_ids'", input_ids=IDS)


def test_a_cache_of_another_batch() -> None:
    model = small_model("gpt2", "causal-lm")
    cache = model(input_ids=IDS).past_key_values
    wrong(model, "past_key_values", "2", input_ids=IDS[:1], past_key_values=cache)
    wrong(model, "past_key_values", input_ids=IDS, past_key_values=((torch.zeros(1),),))


def test_a_failed_pass_leaves_no_trace() -> None:
    model = small_model("bert")
    expected = model(input_ids=IDS)[0]
    for inputs in ({"input_ids": IDS + 90}, {"input_ids": IDS[0]}, {"input_ids": IDS, "attention_mask": IDS * 0}):
        with pytest.raises(InputError):
            model(**inputs)
    assert torch.equal(model(input_ids=IDS)[0], expected)
    assert inputs_for(model)


# --- heads --------------------------------------------------------------------------------------------------------


def test_a_head_that_makes_no_sense() -> None:
    for auto, model_type in (
        (headway.AutoModelForImageClassification, "bert"),
        (headway.AutoModelForSeq2SeqLM, "gpt2"),
    ):
        with pytest.raises(ValueError, match=r"^Unrecognized configuration class") as caught:
            auto.from_config(small_config(model_type))
        assert isinstance(caught.value, ConfigError)
        one_sentence(caught.value)


def test_the_files_of_a_failed_load_are_as_they_were(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for options in ({"hidden_size": 8}, {"nonsense": 1}, {"dtype": "x"}):
        with pytest.raises(HeadwayError):
            AutoModel.from_pretrained(folder, **options)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert load_file(folder / "model.safetensors")
