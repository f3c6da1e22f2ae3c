"""Models: overrides, classes of users, what a forward pass records, saving, and values drawn anew."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

import headway
from headway import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PretrainedModel,
)
from headway.errors import CheckpointError, ConfigError, InputError
from headway.heads import HEADS
from headway.models.assemble import model_class
from headway.nn.layer import Scale
from headway.nn.linear import Linear
from headway.nn.norm import LayerNorm, RMSNorm
from small import PAIRS, inputs_for, one_sentence, same_state, small_checkpoint, small_config, small_model

IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 2]])

# --- overrides ----------------------------------------------------------------------------------------------------


def test_config_fields_are_overridden_by_keywords_in_both_spellings(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "distilbert")
    for keywords in ({"n_heads": 2}, {"num_attention_heads": 2}):
        for kind in (AutoModel, headway.DistilBertModel, AutoModelForSequenceClassification):
            model = kind.from_pretrained(folder, **keywords)
            assert model.config.n_heads == model.config.num_attention_heads == 2
            assert model.backbone.layers[0].attn.split == (-1, 8)
    four = AutoModel.from_pretrained(folder)
    assert not torch.equal(four(input_ids=IDS)[0], AutoModel.from_pretrained(folder, n_heads=2)(input_ids=IDS)[0])


def test_overrides_of_every_kind(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=4,
        output_hidden_states=True,
        hidden_dropout_prob=0.5,
        num_hidden_layers=1,
        problem_type="multi_label_classification",
    )
    assert len(model(input_ids=IDS).hidden_states) == 2
    assert model.backbone.layers[0].dropout == 0.5
    loss = model(input_ids=IDS, labels=torch.ones(2, 4)).loss
    assert loss.dim() == 0
    labelled = AutoModelForSequenceClassification.from_pretrained(
        folder, id2label={0: "no", 1: "yes", 2: "maybe"}, label2id={"no": 0, "yes": 1, "maybe": 2}
    )
    assert labelled.config.num_labels == labelled.head.out.out_features == 3
    assert labelled.config.label2id["maybe"] == 2


def test_a_config_of_the_callers_own(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    config = AutoConfig.from_pretrained(folder, num_labels=6)
    model = AutoModelForSequenceClassification.from_pretrained(folder, config=config)
    assert model.config is config
    assert model.head.out.out_features == 6
    model = headway.BertModel.from_pretrained(folder, config=folder / "config.json", num_hidden_layers=1)
    assert len(model.backbone.layers) == 1


def test_an_unknown_keyword_offers_the_nearest(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    for keyword, nearest in (
        ("num_lables", "num_labels"),
        ("hidden_sizes", "hidden_size"),
        ("devise_map", "device_map"),
    ):
        with pytest.raises(InputError, match=rf"'{keyword}'.*Did you mean '{nearest}'\?") as caught:
            AutoModel.from_pretrained(folder, **{keyword: 1})
        one_sentence(caught.value)


def test_keywords_of_other_libraries_that_change_nothing(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    model = AutoModel.from_pretrained(
        folder, low_cpu_mem_usage=True, use_safetensors=True, trust_remote_code=False, proxies=None
    )
    assert same_state(model, AutoModel.from_pretrained(folder))


def test_device_map(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    for place in ("cpu", torch.device("cpu"), {"": "cpu"}):
        assert AutoModel.from_pretrained(folder, device_map=place).device.type == "cpu"
    assert AutoModel.from_pretrained(folder, device_map="auto").device.type in ("cpu", "cuda")
    for wrong in ("gpu0", {"a": "cpu", "b": "meta"}):
        with pytest.raises(InputError, match="device_map") as caught:
            AutoModel.from_pretrained(folder, device_map=wrong)
        one_sentence(caught.value)


# --- what a pass records ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implementation", [None, "sdpa", "eager"])
def test_attentions_are_real_whatever_the_kernel(tmp_path: Path, implementation: str | None) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    options = {} if implementation is None else {"attn_implementation": implementation}
    model = AutoModel.from_pretrained(folder, **options)
    assert model.config._attn_implementation == implementation
    output = model(input_ids=IDS, output_attentions=True)
    assert [tuple(weights.shape) for weights in output.attentions] == [(2, 4, 4, 4)] * 2
    for weights in output.attentions:
        assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 4))
        assert float(weights.detach().std()) > 0
    reference = AutoModel.from_pretrained(folder, attn_implementation="eager")(input_ids=IDS, output_attentions=True)
    assert all(torch.equal(a, b) for a, b in zip(output.attentions, reference.attentions, strict=True))
    assert torch.allclose(model(input_ids=IDS)[0], output[0], atol=1e-6)
    assert model(input_ids=IDS).attentions is None


def test_an_unknown_kernel_offers_the_nearest(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path, "bert")
    with pytest.raises(ConfigError, match=r"attn_implementation='egaer' is unknown.*Did you mean 'eager'\?") as caught:
        AutoModel.from_pretrained(folder, attn_implementation="egaer")
    one_sentence(caught.value)


def test_the_kernel_is_not_written_to_the_config(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "a", "bert")
    AutoModel.from_pretrained(folder, attn_implementation="eager").save_pretrained(tmp_path / "b")
    assert "attn" not in (tmp_path / "b" / "config.json").read_text().replace("attention", "")


@pytest.mark.parametrize("model_type", ["bert", "albert", "gpt2", "llama", "vit", "deberta-v2"])
def test_hidden_states_are_one_more_than_layers(model_type: str) -> None:
    model = small_model(model_type)
    output = model(**inputs_for(model), output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == model.config.num_hidden_layers + 1
    assert len(output.attentions) == model.config.num_hidden_layers
    assert len({tuple(state.shape) for state in output.hidden_states}) == 1
    if model_type != "vit":  # its final norm acts after the recorded states
        assert torch.equal(output.hidden_states[-1], output.last_hidden_state)


def test_an_encoder_decoder_records_both(tmp_path: Path) -> None:
    model = small_model("t5", "seq2seq-lm")
    output = model(input_ids=IDS, decoder_input_ids=IDS[:, :3], output_attentions=True, output_hidden_states=True)
    assert [tuple(weights.shape) for weights in output.encoder_attentions] == [(2, 4, 4, 4)] * 2
    assert [tuple(weights.shape) for weights in output.decoder_attentions] == [(2, 4, 3, 3)] * 2
    assert [tuple(weights.shape) for weights in output.cross_attentions] == [(2, 4, 3, 4)] * 2
    assert len(output.encoder_hidden_states) == len(output.decoder_hidden_states) == 3
    assert output.logits.shape == (2, 3, 60)


# --- every model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_forward_and_backward_reach_every_parameter(model_type: str, task: str) -> None:
    model = small_model(model_type, task).train()
    inputs = inputs_for(model)
    labels = _labels(model, inputs)
    output = model(**inputs, **labels)
    loss = output.loss if labels else sum(value.float().pow(2).sum() for value in output.to_tuple() if _is_float(value))
    assert loss.dim() == 0
    assert bool(torch.isfinite(loss))
    loss.backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    # Experts that no token chose stay silent, and so do cross-attention where there is nothing to look at and the token
    # of patches that nobody hid.
    allowed = ("experts", ".mask_token", ".cross") if task == "causal-lm" else ("experts", ".mask_token")
    assert [name for name in silent if not any(part in name for part in allowed)] == []


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _labels(model: Any, inputs: dict[str, Tensor]) -> dict[str, Any]:
    rows, width = 2, inputs.get("decoder_input_ids", inputs.get("input_ids", torch.zeros(2, 1))).shape[-1]
    if model.task in ("base", "projection"):
        return {}
    if model.task == "zero-shot-image-classification":
        return {"return_loss": True}
    if model.task == "question-answering":
        return {"start_positions": torch.tensor([1, 2]), "end_positions": torch.tensor([2, 3])}
    if model.task in (
        "sequence-classification",
        "image-classification",
        "image-classification-with-teacher",
        "multiple-choice",
        "next-sentence-prediction",
    ):
        return {"labels": torch.tensor([0, 1])}
    extra = {name: torch.tensor([0, 1]) for name in model.plan.targets if name != "labels"}
    return {"labels": torch.randint(0, 2, (rows, width)), **extra}


def test_two_passes_give_the_same_bits() -> None:
    for model_type, task in PAIRS:
        model = small_model(model_type, task)
        with torch.no_grad():
            one, other = model(**inputs_for(model))[0], model(**inputs_for(model))[0]
        assert torch.equal(one, other)


def test_a_pass_changes_neither_the_config_nor_the_inputs() -> None:
    model = small_model("bert", "sequence-classification", num_labels=3)
    before, ids, mask = model.config.to_dict(), IDS.clone(), torch.ones_like(IDS)
    model(input_ids=IDS, attention_mask=mask, labels=torch.tensor([0, 2]), output_attentions=True)
    assert model.config.to_dict() == before
    assert model.config.problem_type is None
    assert torch.equal(ids, IDS)
    assert bool(mask.all())


# --- classes of users ---------------------------------------------------------------------------------------------


class CustomModel(PretrainedModel):
    """Acceptance 001-3."""

    config_class = headway.LlamaConfig

    def __init__(self, config):
        super().__init__(config)
        self.model = AutoModel.from_config(config)
        self.custom_layer = nn.Linear(config.hidden_size, 10)

    def forward(self, input_ids, attention_mask=None):
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask)
        return self.custom_layer(outputs.last_hidden_state)


def test_a_class_around_a_backbone_is_saved_and_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = CustomModel(small_config("llama"))
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    expected = model(IDS, mask)
    assert expected.shape == (2, 4, 10)
    model.save_pretrained(tmp_path)
    held = load_file(tmp_path / "model.safetensors")
    assert "custom_layer.weight" in held
    assert "model.layers.0.self_attn.q_proj.weight" in held
    values = json.loads((tmp_path / "config.json").read_text())
    assert values["architectures"] == ["CustomModel"]
    caplog.set_level(logging.WARNING)
    again, info = CustomModel.from_pretrained(tmp_path, output_loading_info=True)
    assert info["missing_keys"] == info["unexpected_keys"] == set()
    assert type(again) is CustomModel
    assert same_state(again, model)
    assert torch.equal(again(IDS, mask), expected)
    assert caplog.records == []
    assert CustomModel.from_config(small_config("llama")).custom_layer.out_features == 10


def test_a_backbone_of_its_own_checkpoint_within_a_class(tmp_path: Path) -> None:
    folder = small_checkpoint(tmp_path / "bert", "bert")

    class Pair(PreTrainedModel):
        config_class = BertConfig

        def __init__(self, config: Any, folder: Any = None) -> None:
            super().__init__(config)
            self.one = AutoModel.from_pretrained(folder) if folder else AutoModel.from_config(config)
            self.two = AutoModelForSequenceClassification.from_config(config)
            self.weight = nn.Parameter(torch.randn(3))
            self.register_buffer("scale", torch.ones(2))

    model = Pair(AutoConfig.from_pretrained(folder), folder)
    assert same_state(model.one, AutoModel.from_pretrained(folder))
    model.scale += 1
    model.save_pretrained(tmp_path / "pair")
    names = set(load_file(tmp_path / "pair" / "model.safetensors"))
    assert {"weight", "scale", "one.embeddings.word_embeddings.weight", "two.classifier.weight"} <= names
    assert "two.bert.embeddings.word_embeddings.weight" in names
    again = Pair.from_pretrained(tmp_path / "pair")
    assert again.load_report.clean
    assert same_state(again, model)


class Plain(PreTrainedModel):
    config_class = BertConfig

    def __init__(self, config, width=3):
        super().__init__(config)
        self.linear = nn.Linear(config.hidden_size, width)

    def forward(self, x):
        return self.linear(x)


def test_arguments_of_a_class_of_ones_own(tmp_path: Path) -> None:
    model = Plain(small_config("bert"), width=5)
    model.save_pretrained(tmp_path)
    assert Plain.from_pretrained(tmp_path, width=5).linear.out_features == 5
    assert same_state(Plain.from_pretrained(tmp_path, 5), model)
    with pytest.raises(InputError, match=r"'widht'.*Did you mean 'width'\?"):
        Plain.from_pretrained(tmp_path, widht=5)


def test_a_parameter_that_a_file_lacks_in_a_class_of_ones_own(tmp_path: Path) -> None:
    """The class has drawn it, and its values stay."""
    Plain(small_config("bert")).save_pretrained(tmp_path)

    class More(Plain):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.extra = nn.Parameter(torch.full((2,), 7.0))

    model = More.from_pretrained(tmp_path)
    assert model.load_report.new == ("extra",)
    assert model.extra.tolist() == [7.0, 7.0]


def test_a_config_class_of_ones_own_and_a_family_within(tmp_path: Path) -> None:
    class MineConfig(PreTrainedConfig):
        model_type = "mine"

        def __init__(self, inner=None, classes=2, **kwargs):
            super().__init__(**kwargs)
            self.inner = BertConfig(**(inner or {}))
            self.classes = classes

    class Mine(PreTrainedModel):
        config_class = MineConfig

        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.encoder = AutoModel.from_config(config.inner)
            self.out = nn.Linear(config.inner.hidden_size, config.classes)

    inner = {key: value for key, value in small_config("bert").to_dict().items() if key != "model_type"}
    model = Mine(MineConfig(inner=inner, classes=7))
    model.save_pretrained(tmp_path)
    again = Mine.from_pretrained(tmp_path)
    assert again.config.inner.hidden_size == 16
    assert again.out.out_features == 7
    assert same_state(again, model)


def test_a_subclass_of_a_familys_model(tmp_path: Path) -> None:
    class Doubled(headway.BertModel):  # type: ignore[misc, name-defined]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            output = super().forward(*args, **kwargs)
            output["last_hidden_state"] = output["last_hidden_state"] * 2
            return output

    folder = small_checkpoint(tmp_path, "bert")
    assert torch.equal(
        Doubled.from_pretrained(folder)(input_ids=IDS)[0], AutoModel.from_pretrained(folder)(input_ids=IDS)[0] * 2
    )


# --- saving -------------------------------------------------------------------------------------------------------


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_saving_a_loaded_model_gives_the_same_bytes(tmp_path: Path, model_type: str, task: str) -> None:
    model = small_model(model_type, task)
    model.save_pretrained(tmp_path / "a")
    again = type(model).from_pretrained(tmp_path / "a")
    again.save_pretrained(tmp_path / "b")
    again.save_pretrained(tmp_path / "b")
    again.save_pretrained(tmp_path / "a")
    assert content(tmp_path / "a") == content(tmp_path / "b")
    writes = {"generation_config.json"} if model.can_generate() else set()
    assert set(content(tmp_path / "a")) == {"config.json", "model.safetensors", *writes}


def test_saving_into_the_working_folder_and_beside_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vocab.txt").write_text("kept")
    model = small_model("bert")
    monkeypatch.chdir(tmp_path)
    model.save_pretrained(".")
    assert set(content(tmp_path)) == {"vocab.txt", "config.json", "model.safetensors"}
    model.save_pretrained("deep/er")
    assert same_state(AutoModel.from_pretrained("deep/er"), model)
    assert same_state(AutoModel.from_pretrained("./deep/er/"), model)


def test_saving_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model = small_model("gpt2", "causal-lm").train()
    before, config = {k: v.clone() for k, v in model.state_dict().items()}, model.config.to_dict()
    model.save_pretrained(tmp_path, max_shard_size="10KB")
    assert model.training
    assert model.config.to_dict() == config
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_what_is_saved_names_class_and_dtype(tmp_path: Path) -> None:
    small_model("bert", "masked-lm").half().save_pretrained(tmp_path)
    values = json.loads((tmp_path / "config.json").read_text())
    assert (values["architectures"], values["dtype"], values["model_type"]) == (["BertForMaskedLM"], "float16", "bert")


def test_a_state_dict_in_place_of_the_models_own(tmp_path: Path) -> None:
    model = small_model("bert")
    held = {"a": torch.ones(2)}
    model.save_pretrained(tmp_path, state_dict=held)
    assert set(load_file(tmp_path / "model.safetensors")) == {"a"}


def test_saving_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CheckpointError, match="is a file"):
        small_model("bert").save_pretrained(tmp_path / "file")
    with pytest.raises(InputError, match="safe_serialization=False") as caught:
        small_model("bert").save_pretrained(tmp_path / "a", safe_serialization=False)
    one_sentence(caught.value)
    assert not (tmp_path / "a").exists()


def test_an_unknown_keyword_of_saving(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'max_shard_sise'. Did you mean 'max_shard_size'\?") as caught:
        small_model("bert").save_pretrained(tmp_path, max_shard_sise="1GB")
    one_sentence(caught.value)
    small_model("bert").save_pretrained(tmp_path / "a", is_main_process=False)
    assert not (tmp_path / "a").exists()


SAVES = """
import sys, torch, headway
from small import small_model
model = small_model("bert", "sequence-classification")
print("ready", flush=True)
for value in range(1, 100000):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value % 100)
    model.config.vocab_size = 60
    model.config.mark = value % 100
    model.save_pretrained(sys.argv[1])
"""


def test_a_kill_in_a_save_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    """Property 9: whenever a saving process dies, config and weights are of one save."""
    folder, tests = tmp_path / "model", str(Path(__file__).parent.parent)
    process = subprocess.Popen(
        [sys.executable, "-c", SAVES, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": tests},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        while not (folder / "config.json").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.15)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    values = {float(value) for parameter in model.parameters() for value in parameter.detach().unique()}
    assert values == {float(model.config.mark)}
    model.save_pretrained(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["model"], "what the killed save left is gone"


# --- values drawn anew --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model_type", "task"), PAIRS)
def test_values_drawn_anew(model_type: str, task: str) -> None:
    config = small_config(model_type)
    torch.manual_seed(3)
    model = model_class(model_type, task).from_config(config)
    for path, module in model.named_modules():
        for leaf, parameter in module.named_parameters(path, recurse=False):
            assert bool(torch.isfinite(parameter).all()), leaf
            if leaf.endswith("bias") and not hasattr(module, "new_values"):
                assert not bool(parameter.any()), leaf
            elif isinstance(module, LayerNorm | RMSNorm):
                assert bool((parameter == module.neutral).all()), leaf
            elif isinstance(module, Scale):
                assert bool((parameter == module.initial).all()), leaf
            elif not hasattr(module, "new_values"):
                assert float(parameter.detach().std()) > 0, leaf
    for _, buffer in model.named_buffers():
        assert bool(torch.isfinite(buffer).all())
    torch.manual_seed(3)
    assert same_state(model_class(model_type, task).from_config(config), model)
    torch.manual_seed(4)
    assert not same_state(model_class(model_type, task).from_config(config), model)


@pytest.mark.parametrize("std", [0.02, 0.1])
def test_the_standard_deviation_is_the_configs(std: float) -> None:
    model = AutoModelForCausalLM.from_config(small_config("llama", initializer_range=std, hidden_size=64, head_dim=16))
    for name, module in model.named_modules():
        if isinstance(module, Linear) and module.weight.numel() > 1000:
            assert abs(float(module.weight.detach().std()) / std - 1) < 0.1, name
            assert abs(float(module.weight.detach().mean())) < std / 5
    model = AutoModel.from_config(small_config("bart", init_std=std, d_model=64))
    assert abs(float(model.get_input_embeddings().weight.detach().std()) / std - 1) < 0.1


def test_t5_draws_by_the_inputs() -> None:
    model = headway.T5Model(small_config("t5", d_model=64, d_ff=256, initializer_factor=2.0))
    layer = model.backbone.encoder.layers[0]
    assert abs(float(layer.mlp.up.weight.detach().std()) * 64**0.5 / 2 - 1) < 0.1
    assert abs(float(layer.mlp.down.weight.detach().std()) * 256**0.5 / 2 - 1) < 0.1
    assert abs(float(layer.attn.k.weight.detach().std()) * 64**0.5 / 2 - 1) < 0.1
    assert abs(float(model.get_input_embeddings().weight.detach().std()) / 2 - 1) < 0.1


@pytest.mark.parametrize("d_kv", [4, 64])
def test_a_new_t5_begins_with_scores_of_one_size(d_kv: int) -> None:
    """It does not scale them, so that queries as large as keys would have it attend to one token alone."""
    model = headway.T5Model(small_config("t5", d_model=64, num_heads=2, d_kv=d_kv))
    states = torch.randn(200, 64, generator=torch.Generator().manual_seed(1))
    for attention in (model.backbone.encoder.layers[0].attn, model.backbone.decoder.layers[1].cross):
        q, k = (part(states).unflatten(-1, (2, d_kv)).transpose(0, 1) for part in (attention.q, attention.k))
        assert 0.7 < float((q @ k.mT).detach().std()) < 1.4


def test_every_head_is_drawn_from_a_config_alone() -> None:
    """Acceptance 000-3: a config is enough, and no file is read."""
    config = headway.RobertaConfig(**{**small_config("roberta").to_dict(), "num_labels": 5})
    model = AutoModelForSequenceClassification.from_config(config)
    assert model(input_ids=IDS).logits.shape == (2, 5)
    assert len(HEADS) >= 10
