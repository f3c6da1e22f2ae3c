"""The acceptance list, as its articles' readers write it: only the import is renamed.

Each test carries the row's number. What a row prints is checked as far as small checkpoints can print it: shapes with
their 48 channels in place of 768, and no words of a trained model.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from typing import Any

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from hub import Hub

SIDES = [("good", 1), ("dull", 0)]


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """What headway logs at WARNING and above."""
    caplog.set_level(logging.WARNING, logger="headway")
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logging.getLogger("headway").addHandler(handler)
    yield found
    logging.getLogger("headway").removeHandler(handler)


def oracle(kind: str, checkpoints: dict[str, Path], name: str, **options: Any) -> Any:
    import transformers

    return getattr(transformers, kind).from_pretrained(checkpoints[name], **options).eval()


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


# --- 000 ----------------------------------------------------------------------------------------------------------


def test_000_1_a_new_head_is_loaded_and_said(said: list[str]) -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
    assert type(model).__name__ == "BertForSequenceClassification"
    assert type(tokenizer).__name__.endswith("Tokenizer")
    assert model.config.num_labels == 2
    assert len(said) == 1
    assert "head.out.weight" in said[0]
    assert set(model.load_report.new) == {"head.out.weight", "head.out.bias"}


def test_000_2_a_relative_folder() -> None:
    from headway import AutoModelForTokenClassification

    made = AutoModelForTokenClassification.from_pretrained("bert-base-cased", num_labels=4)
    made.save_pretrained("./my_finetuned_ner_model")
    model = AutoModelForTokenClassification.from_pretrained("./my_finetuned_ner_model")
    assert model.load_report.clean
    assert model.config.num_labels == 4


def test_000_3_a_config_alone(online: Hub) -> None:
    from headway import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained("roberta-base", num_labels=5)
    model = AutoModelForSequenceClassification.from_config(config)
    assert type(model).__name__ == "RobertaForSequenceClassification"
    assert model(input_ids=torch.tensor([[0, 5, 2]])).logits.shape == (1, 5)
    assert not [request for request in online.requests if "roberta-base/resolve" in request and "model" in request]


def test_000_4_tokenizer_output() -> None:
    import numpy as np

    from headway import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    inputs = tokenizer("Hello, how are you?", return_tensors="pt", padding=True, truncation=True, max_length=512)
    assert list(inputs) == ["input_ids", "token_type_ids", "attention_mask"]
    assert inputs["input_ids"].tolist() == [[101, 7592, 1010, 2129, 2024, 2017, 1029, 102]]
    assert all(isinstance(value, torch.Tensor) and value.dtype == torch.int64 for value in inputs.values())
    arrays = tokenizer("Hello, how are you?", return_tensors="np")
    assert isinstance(arrays["input_ids"], np.ndarray)
    with pytest.raises(ValueError, match="tf"):
        tokenizer("Hello", return_tensors="tf")


def test_000_5_logits_and_loss() -> None:
    from headway import AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSequenceClassification

    input_ids = torch.tensor([[101, 7592, 102], [101, 2088, 102]])
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=3)
    outputs = model(input_ids=input_ids)
    assert outputs.logits.shape == (2, 3)
    assert outputs.loss is None
    for kind, name, size in ((AutoModelForMaskedLM, "bert-base-uncased", 30522), (AutoModelForCausalLM, "gpt2", 50257)):
        model = kind.from_pretrained(name)
        outputs = model(input_ids=input_ids, labels=input_ids)
        assert outputs.logits.shape == (2, 3, size)
        assert outputs.loss.dim() == 0
        outputs.loss.backward()


def test_000_6_a_head_that_others_lack(capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModelForTokenClassification

    try:
        model = AutoModelForTokenClassification.from_pretrained("mistralai/Mistral-7B-v0.1")
        print("✅ 支持 TokenClassification")
    except ValueError as e:
        print(f"❌ 不支持: {e}")
    assert capsys.readouterr().out == "✅ 支持 TokenClassification\n"
    assert type(model).__name__ == "MistralForTokenClassification"
    assert model.dtype == torch.bfloat16
    assert model(input_ids=torch.tensor([[5, 6, 7]])).logits.shape == (1, 3, 2)


def test_000_8_predictions() -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-cased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-cased", num_labels=3)
    inputs = tokenizer("This is great!", return_tensors="pt")
    outputs = model(**inputs)
    predictions = outputs.logits.argmax(dim=-1)
    assert predictions.shape == (1,)
    assert predictions.item() in (0, 1, 2)


# --- 001 ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def llama_here(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    """The articles give the id without its owner, which is no id; a folder of that name is there instead."""
    (tmp_path / "Meta-Llama-3-8B-Instruct").symlink_to(checkpoints["meta-llama/Meta-Llama-3-8B-Instruct"])


@pytest.mark.usefixtures("llama_here")
def test_001_1_a_bare_backbone(checkpoints: dict[str, Path]) -> None:
    from headway import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("Meta-Llama-3-8B-Instruct")
    model = AutoModel.from_pretrained("Meta-Llama-3-8B-Instruct")
    assert type(model).__name__ == "LlamaModel"
    assert model.get_output_embeddings() is None
    inputs = tokenizer("Once upon a time", return_tensors="pt")
    outputs = model(**inputs)
    assert "logits" not in outputs
    theirs = oracle("AutoModel", checkpoints, "meta-llama/Meta-Llama-3-8B-Instruct")
    close(outputs.last_hidden_state, theirs(inputs["input_ids"]).last_hidden_state)


@pytest.mark.usefixtures("llama_here")
def test_001_2_three_heads(checkpoints: dict[str, Path]) -> None:
    from headway import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification

    causal = AutoModelForCausalLM.from_pretrained("Meta-Llama-3-8B-Instruct")
    classifier = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased")
    seq2seq = AutoModelForSeq2SeqLM.from_pretrained("google/flan-t5-large")
    assert isinstance(causal.get_output_embeddings(), nn.Linear)
    assert classifier.config.num_labels == 2
    ids, start = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[0, 9]])
    close(
        causal(input_ids=ids).logits,
        oracle("AutoModelForCausalLM", checkpoints, "meta-llama/Meta-Llama-3-8B-Instruct")(ids).logits,
    )
    close(
        seq2seq(input_ids=ids, decoder_input_ids=start).logits,
        oracle("AutoModelForSeq2SeqLM", checkpoints, "google/flan-t5-large")(ids, decoder_input_ids=start).logits,
    )
    assert seq2seq.load_report.clean


@pytest.mark.usefixtures("llama_here")
def test_001_3_a_class_of_ones_own() -> None:
    from headway import AutoConfig, AutoModel, PretrainedModel

    class CustomModel(PretrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.model = AutoModel.from_config(config)
            self.custom_layer = nn.Linear(config.hidden_size, 10)

        def forward(self, input_ids):
            outputs = self.model(input_ids)
            hidden_states = outputs.last_hidden_state
            return self.custom_layer(hidden_states)

    config = AutoConfig.from_pretrained("Meta-Llama-3-8B-Instruct")
    model = CustomModel(config)
    ids = torch.tensor([[5, 6, 7]])
    logits = model(ids)
    assert logits.shape == (1, 3, 10)
    model.save_pretrained("custom")
    again = CustomModel.from_pretrained("custom", config=AutoConfig.from_pretrained("custom"))
    assert torch.equal(again.eval()(ids), model.eval()(ids))


# --- 002 ----------------------------------------------------------------------------------------------------------


def test_002_2_the_word_behind_the_mask(capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForMaskedLM.from_pretrained("bert-base-uncased")
    text = "The capital of France is [MASK]."
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    mask_token_index = (inputs.input_ids == tokenizer.mask_token_id)[0].nonzero(as_tuple=True)[0]
    predicted_token_id = outputs.logits[0, mask_token_index].argmax(dim=-1)
    print(f"预测结果: {tokenizer.decode(predicted_token_id)}")
    assert tokenizer.mask_token_id == 103
    assert mask_token_index.tolist() == [6]
    assert capsys.readouterr().out == "预测结果: paris\n"


def test_002_4_the_answer_in_a_text(checkpoints: dict[str, Path]) -> None:
    from headway import AutoModelForQuestionAnswering, AutoTokenizer

    model_name = "distilbert-base-uncased-distilled-squad"
    tokenizer = AutoTokenizer.from_pretrained(model_name)
    model = AutoModelForQuestionAnswering.from_pretrained(model_name)
    context = "Transformers is a tool that democratizes AI."
    question = "What is Transformers?"
    inputs = tokenizer.encode_plus(question, context, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    answer_start = torch.argmax(outputs.start_logits)
    answer_end = torch.argmax(outputs.end_logits) + 1
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    answer = tokenizer.convert_tokens_to_string(
        tokenizer.convert_ids_to_tokens(inputs["input_ids"][0][answer_start:answer_end])
    )
    theirs = oracle("AutoModelForQuestionAnswering", checkpoints, f"distilbert/{model_name}")(**inputs)
    close(outputs.start_logits, theirs.start_logits)
    close(outputs.end_logits, theirs.end_logits)
    assert "token_type_ids" not in inputs
    assert tokens[:5] == ["[CLS]", "what", "is", "transformers", "?"]
    assert isinstance(answer, str)
    assert tokenizer.convert_tokens_to_string(tokens[8:14]) == "a tool that democratizes ai"


def test_002_5_one_line_a_token(
    checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str], said: list[str]
) -> None:
    from headway import AutoModelForTokenClassification, AutoTokenizer

    name = "dbmdz/bert-large-cased-finetuned-conll03-english"
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForTokenClassification.from_pretrained(name)
    inputs = tokenizer("hugging face is based in new york", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    predictions = torch.argmax(outputs.logits, dim=2)
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    for token, prediction in zip(tokens, predictions[0].numpy(), strict=True):
        print(f"{token}: {model.config.id2label[prediction]}")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == tokens
    assert all(line.split(": ")[1] in model.config.label2id for line in lines)
    assert model.config.id2label[0] == "O"
    close(outputs.logits, oracle("AutoModelForTokenClassification", checkpoints, name)(**inputs).logits)
    assert said == []
    assert set(model.load_report.left_over) == {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}


def test_002_6_a_list_indexed_by_a_prediction(capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    model_name = "distilbert-base-uncased-finetuned-sst-2-english"
    tokenizer = AutoTokenizer.from_pretrained(model_name)
    model = AutoModelForSequenceClassification.from_pretrained(model_name)
    text = "I love this movie!"
    inputs = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    probabilities = F.softmax(outputs.logits, dim=-1)
    prediction = torch.argmax(probabilities, dim=-1)
    labels = ["Negative", "Positive"]
    print(f"文本: {text}")
    print(f"情感预测: {labels[prediction]}")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "文本: I love this movie!"
    assert out[1] in ("情感预测: Negative", "情感预测: Positive")
    assert model.config.id2label == {0: "NEGATIVE", 1: "POSITIVE"}
    assert float(probabilities.sum()) == pytest.approx(1)


def test_002_7_states(capsys: pytest.CaptureFixture[str], checkpoints: dict[str, Path]) -> None:
    from headway import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModel.from_pretrained("bert-base-uncased")
    inputs = tokenizer("Hello, this is a test.", return_tensors="pt")
    with torch.no_grad():
        outputs = model(**inputs)
    print(f"Last hidden state shape: {outputs.last_hidden_state.shape}")
    assert capsys.readouterr().out == "Last hidden state shape: torch.Size([1, 9, 48])\n"
    assert model.load_report.new == ()
    assert all(name.startswith("cls.") for name in model.load_report.left_over)


# --- 003 ----------------------------------------------------------------------------------------------------------


def test_003_1_and_2_load() -> None:
    from headway import AutoModel, AutoModelForSequenceClassification

    model = AutoModel.from_pretrained("google-bert/bert-base-cased")
    assert type(model).__name__ == "BertModel"
    stars = AutoModelForSequenceClassification.from_pretrained("nlptown/bert-base-multilingual-uncased-sentiment")
    assert stars.load_report.clean
    assert list(stars.config.id2label.values()) == ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]


def test_003_3_register() -> None:
    from headway import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel, registry

    class NewModelConfig(PreTrainedConfig):
        model_type = "new-model"

        def __init__(self, size=4, **kwargs):
            super().__init__(**kwargs)
            self.size = size

    class NewModel(PreTrainedModel):
        config_class = NewModelConfig

        def __init__(self, config):
            super().__init__(config)
            self.layer = nn.Linear(config.size, config.size)

        def forward(self, x):
            return self.layer(x)

    try:
        AutoConfig.register("new-model", NewModelConfig)
        AutoModel.register(NewModelConfig, NewModel)
        NewModel(NewModelConfig(size=3)).save_pretrained("NewModel")
        model = AutoModel.from_pretrained("NewModel")
        assert type(model) is NewModel
        assert model(torch.ones(2, 3)).shape == (2, 3)
    finally:
        registry._configs.pop("new-model", None)
        AutoModel._registered.pop(NewModelConfig, None)


def test_003_4_a_config_and_its_graphs() -> None:
    from headway import PreTrainedConfig
    from headway.onnx import OnnxConfig

    class BertConfig(PreTrainedConfig):
        model_type = "bert"

        def __init__(
            self,
            vocab_size=30522,
            hidden_size=768,
            num_hidden_layers=12,
            num_attention_heads=12,
            intermediate_size=3072,
            hidden_act="gelu",
            hidden_dropout_prob=0.1,
            attention_probs_dropout_prob=0.1,
            max_position_embeddings=512,
            type_vocab_size=2,
            initializer_range=0.02,
            layer_norm_eps=1e-12,
            pad_token_id=0,
            position_embedding_type="absolute",
            use_cache=True,
            classifier_dropout=None,
            **kwargs,
        ):
            super().__init__(pad_token_id=pad_token_id, **kwargs)
            self.vocab_size = vocab_size
            self.hidden_size = hidden_size
            self.max_position_embeddings = max_position_embeddings
            self.classifier_dropout = classifier_dropout

    class BertOnnxConfig(OnnxConfig):
        @property
        def inputs(self):
            if self.task == "multiple-choice":
                dynamic_axis = {0: "batch", 1: "choice", 2: "sequence"}
            else:
                dynamic_axis = {0: "batch", 1: "sequence"}
            return OrderedDict(
                [
                    ("input_ids", dynamic_axis),
                    ("attention_mask", dynamic_axis),
                    ("token_type_ids", dynamic_axis),
                ]
            )

    config = BertConfig(hidden_size=48)
    assert (config.hidden_size, config.pad_token_id) == (48, 0)
    graphs = BertOnnxConfig(config)
    assert list(graphs.inputs) == ["input_ids", "attention_mask", "token_type_ids"]
    assert graphs.default_onnx_opset >= 11
    assert {tensor.shape for tensor in graphs.generate_dummy_inputs().values()} == {(2, 8)}
    choice = BertOnnxConfig(config, task="multiple-choice")
    assert choice.inputs["input_ids"][1] == "choice"
    assert choice.generate_dummy_inputs(batch_size=1, num_choices=4)["input_ids"].shape == (1, 4, 8)


def test_003_5_a_config_class() -> None:
    from headway import BertConfig

    config = BertConfig.from_pretrained("bert-base-cased")
    assert (config.num_hidden_layers, config.num_attention_heads, config.vocab_size) == (12, 12, 30522)


def test_003_6_a_field_by_its_own_name() -> None:
    from headway import AutoConfig, AutoModel

    my_config = AutoConfig.from_pretrained("distilbert/distilbert-base-uncased", n_heads=6)
    assert my_config.n_heads == my_config.num_attention_heads == 6
    my_model = AutoModel.from_config(my_config)
    assert my_model(input_ids=torch.tensor([[5]]), output_attentions=True).attentions[0].shape[1] == 6


def test_003_7_and_8_there_and_back(tmp_path: Path) -> None:
    from headway import BertConfig, BertModel

    config = BertConfig.from_pretrained("google-bert/bert-base-cased")
    model = BertModel(config)
    model.save_pretrained("my_bert_model")
    assert sorted(path.name for path in (tmp_path / "my_bert_model").iterdir()) == ["config.json", "model.safetensors"]
    again = BertModel.from_pretrained("my_bert_model")
    assert again.load_report.clean
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_003_9_and_10_and_11_texts_to_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    name = "nlptown/bert-base-multilingual-uncased-sentiment"
    tokenizer = AutoTokenizer.from_pretrained(name)
    encoding = tokenizer("We are very happy to show you the 🤗 Transformers library.")
    print(encoding)
    out = capsys.readouterr().out
    assert out.startswith("{'input_ids': [101, 2057, 2024, 2200,")
    assert "'token_type_ids': [0, 0" in out
    assert "'attention_mask': [1, 1" in out
    pt_batch = tokenizer(
        ["We are very happy to show you the 🤗 Transformers library.", "We hope you don't hate it."],
        padding=True,
        truncation=True,
        max_length=512,
        return_tensors="pt",
    )
    assert {value.shape for value in pt_batch.values()} == {(2, 14)}
    assert pt_batch["attention_mask"].sum(1).tolist() == [14, 11]
    pt_outputs = AutoModelForSequenceClassification.from_pretrained(name)(**pt_batch)
    pt_predictions = nn.functional.softmax(pt_outputs.logits, dim=-1)
    assert pt_predictions.shape == (2, 5)


@pytest.fixture
def rotten_tomatoes() -> Any:
    """A data set of the form of rotten_tomatoes: reviews that are good (1) or not (0)."""
    from datasets import Dataset, DatasetDict

    def reviews(names: list[str]) -> Any:
        texts = [
            (f"{name} is a {word} film{', and long' * (len(name) % 3)}.", label)
            for name in names
            for word, label in SIDES
        ]
        return Dataset.from_dict({"text": [text for text, _ in texts], "label": [label for _, label in texts]})

    return DatasetDict(
        train=reviews(["Alien", "Heat", "Ran", "Fargo", "Psycho", "Vertigo", "M", "Tampopo"]),
        validation=reviews(["Brazil", "Jaws"]),
    )


def test_003_12_a_classifier_is_trained(rotten_tomatoes: Any, tmp_path: Path, said: list[str]) -> None:
    from headway import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    model = AutoModelForSequenceClassification.from_pretrained("distilbert/distilbert-base-uncased")
    tokenizer = AutoTokenizer.from_pretrained("distilbert/distilbert-base-uncased")
    said.clear()  # that the head is new

    def tokenize_dataset(dataset):
        return tokenizer(dataset["text"])

    dataset = rotten_tomatoes.map(tokenize_dataset, batched=True)
    data_collator = DataCollatorWithPadding(tokenizer=tokenizer)
    training_args = TrainingArguments(output_dir="reviews", learning_rate=3e-4, num_train_epochs=4, logging_steps=1)
    trainer = Trainer(
        model=model,
        args=training_args,
        train_dataset=dataset["train"],
        eval_dataset=dataset["validation"],
        processing_class=tokenizer,
        data_collator=data_collator,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == trainer.state.global_step == 8
    assert losses[-1] < losses[0]
    assert dataset["train"].column_names[:2] == ["text", "label"]
    assert not said
    # What was saved is a checkpoint as any other, with its tokenizer.
    import transformers

    theirs: Any = transformers.AutoModelForSequenceClassification.from_pretrained("reviews/checkpoint-8").eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained("reviews/checkpoint-8")
    held_out = dataset["validation"]
    batch = their_tokenizer(list(held_out["text"]), padding=True, return_tensors="pt")
    loss = theirs(**batch, labels=torch.tensor(list(held_out["label"]))).loss
    assert trainer.evaluate()["eval_loss"] == pytest.approx(loss.item(), rel=1e-4)


def test_003_12_one_that_writes_is_trained(said: list[str]) -> None:
    from datasets import Dataset

    from headway import (
        AutoModelForSeq2SeqLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Seq2SeqTrainer,
        Seq2SeqTrainingArguments,
    )

    model = AutoModelForSeq2SeqLM.from_pretrained("google-t5/t5-small")
    tokenizer = AutoTokenizer.from_pretrained("google-t5/t5-small")
    texts = {"text": ["The cat sat on the mat.", "Once upon a time", "Hello"], "short": ["cat", "time", "Hello"]}
    dataset = Dataset.from_dict(texts).map(lambda row: tokenizer(row["text"], text_target=row["short"]))
    trainer = Seq2SeqTrainer(
        model=model,
        args=Seq2SeqTrainingArguments("short", learning_rate=3e-3, num_train_epochs=4, predict_with_generate=True),
        train_dataset=dataset,
        eval_dataset=dataset,
        processing_class=tokenizer,
        data_collator=DataCollatorForSeq2Seq(tokenizer=tokenizer, model=model),
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    output = trainer.predict(dataset, max_length=8)
    assert output.metrics["test_loss"] < before
    assert output.predictions.shape[0] == 3
    assert output.predictions.shape[1] <= 8
    alone = model.generate(**tokenizer(texts["text"][1], return_tensors="pt"), max_length=8)[0]
    assert output.predictions[1][: len(alone)].tolist() == alone.tolist()
    assert not said


# --- 004 ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def bert() -> tuple[Any, Any]:
    from headway import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained("bert-base-uncased"), AutoModel.from_pretrained("bert-base-uncased")


def test_004_2_and_3_keys_and_their_order(bert: tuple[Any, Any]) -> None:
    tokenizer, model = bert
    inputs = tokenizer("Hello world", return_tensors="pt")
    outputs = model(**inputs)
    assert list(inputs.keys()) == ["input_ids", "token_type_ids", "attention_mask"]
    assert list(outputs.keys()) == ["last_hidden_state", "pooler_output"]


def test_004_4_exact_ids_and_pprint(bert: tuple[Any, Any]) -> None:
    tokenizer, _ = bert
    text = "I love deep learning."
    inputs = tokenizer(text)
    assert inputs["input_ids"] == [101, 1045, 2293, 2784, 4083, 1012, 102]
    assert pformat(inputs) == (
        "{'attention_mask': [1, 1, 1, 1, 1, 1, 1],\n"
        " 'input_ids': [101, 1045, 2293, 2784, 4083, 1012, 102],\n"
        " 'token_type_ids': [0, 0, 0, 0, 0, 0, 0]}"
    )
    tensors = tokenizer(text, return_tensors="pt")
    assert tensors["input_ids"].tolist() == [[101, 1045, 2293, 2784, 4083, 1012, 102]]
    assert pformat(tensors).index("attention_mask") < pformat(tensors).index("input_ids")


def test_004_5_and_6_a_dictionary_and_a_tuple(bert: tuple[Any, Any]) -> None:
    from headway import AutoModelForSequenceClassification

    tokenizer, model = bert
    inputs = tokenizer("I love deep learning.", return_tensors="pt")
    outputs = model(**inputs)
    assert list(outputs.keys()) == ["last_hidden_state", "pooler_output"]
    assert outputs[0] is outputs.last_hidden_state
    assert outputs.attentions is None
    assert outputs.past_key_values is None
    classifier = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
    outputs = classifier(**inputs)
    assert torch.equal(outputs[0], outputs.logits)


def test_004_7_and_8_a_sequences_logits() -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
    outputs = model(**tokenizer("I love deep learning.", return_tensors="pt"))
    assert str(outputs.logits.shape) == "torch.Size([1, 2])"


def test_004_9_and_10_tokens_logits() -> None:
    from headway import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForTokenClassification.from_pretrained("bert-base-uncased", num_labels=9)
    outputs = model(**tokenizer("Hugging Face is based in New York City", return_tensors="pt"))
    assert str(outputs.logits.shape) == "torch.Size([1, 10, 9])"


def test_004_11_and_12_means(bert: tuple[Any, Any], capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer, model = bert
    inputs = tokenizer(["I love deep learning.", "I love it."], return_tensors="pt", padding=True, truncation=True)
    with torch.inference_mode():
        outputs = model(**inputs)
    sentence_embedding = outputs.last_hidden_state.mean(dim=1)
    print("Last hidden state shape:", outputs.last_hidden_state.shape)
    print("Sentence embedding shape:", sentence_embedding.shape)
    assert capsys.readouterr().out.splitlines() == [
        "Last hidden state shape: torch.Size([2, 7, 48])",
        "Sentence embedding shape: torch.Size([2, 48])",
    ]
    mask = inputs["attention_mask"].unsqueeze(-1)
    mean = (outputs.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
    with torch.inference_mode():
        alone = model(**tokenizer("I love it.", return_tensors="pt")).last_hidden_state.mean(dim=1)
    torch.testing.assert_close(mean[1:], alone, rtol=1e-5, atol=1e-6)


@pytest.fixture
def gpt2() -> tuple[Any, Any]:
    from headway import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained("gpt2"), AutoModelForCausalLM.from_pretrained("gpt2")


def test_004_13_to_15_logits_of_the_next_token(
    gpt2: tuple[Any, Any], checkpoints: dict[str, Path], said: list[str]
) -> None:
    tokenizer, model = gpt2
    inputs = tokenizer("The cat sat", return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs)
    assert str(outputs.logits.shape) == "torch.Size([1, 3, 50257])"
    next_token_logits = outputs.logits[:, -1, :]
    assert next_token_logits.shape == (1, 50257)
    close(outputs.logits, oracle("AutoModelForCausalLM", checkpoints, "openai-community/gpt2")(**inputs).logits)
    assert said == []
    assert model.load_report.clean


def test_001_4_a_pipeline_that_writes() -> None:
    from headway import pipeline

    generator = pipeline("text-generation", model="meta-llama/Meta-Llama-3-8B-Instruct")
    (found,) = generator("Once upon a time", max_new_tokens=5)
    assert found["generated_text"].startswith("Once upon a time")


def test_002_1_text_is_drawn(gpt2: tuple[Any, Any]) -> None:
    tokenizer, model = gpt2
    inputs = tokenizer("Once upon a time", return_tensors="pt")
    outputs = model.generate(**inputs, max_length=50, do_sample=True, top_p=0.95, temperature=0.7)
    assert outputs.shape[1] <= 50
    assert tokenizer.decode(outputs[0], skip_special_tokens=True).startswith("Once upon a time")


def test_002_3_a_translation_by_beams(checkpoints: dict[str, Path]) -> None:
    from headway import AutoModelForSeq2SeqLM, AutoTokenizer

    name = "Helsinki-NLP/opus-mt-en-de"
    tokenizer, model = AutoTokenizer.from_pretrained(name), AutoModelForSeq2SeqLM.from_pretrained(name)
    inputs = tokenizer("Hello, my dog is cute", return_tensors="pt")
    outputs = model.generate(**inputs, max_length=40, num_beams=4, early_stopping=True)
    theirs = oracle("AutoModelForSeq2SeqLM", checkpoints, name)
    assert torch.equal(outputs, theirs.generate(**inputs, max_length=40, num_beams=4, early_stopping=True))
    assert isinstance(tokenizer.decode(outputs[0], skip_special_tokens=True), str)
    assert model.generation_config.num_beams == 6


def test_004_16_greedy_text(
    gpt2: tuple[Any, Any], checkpoints: dict[str, Path], said: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    tokenizer, model = gpt2
    inputs = tokenizer("Once upon a time the cat", return_tensors="pt")
    output_ids = model.generate(**inputs, max_new_tokens=30)
    theirs = oracle("AutoModelForCausalLM", checkpoints, "openai-community/gpt2")
    capfd.readouterr()
    assert torch.equal(output_ids, theirs.generate(**inputs, max_new_tokens=30))
    capfd.readouterr()
    model.generate(**inputs, max_new_tokens=3)
    assert (said, capfd.readouterr()) == ([], ("", "")), "a correct program prints nothing"


def test_004_18_and_21_drawn_text(gpt2: tuple[Any, Any]) -> None:
    tokenizer, model = gpt2
    inputs = tokenizer("Once upon a time", return_tensors="pt")
    with torch.inference_mode():
        output_ids = model.generate(**inputs, max_new_tokens=20, do_sample=True, temperature=0.8, top_p=0.9)
    assert tokenizer.decode(output_ids[0]).startswith("Once upon a time")


def test_004_22_to_24_text_to_text(checkpoints: dict[str, Path]) -> None:
    from headway import AutoModelForSeq2SeqLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("t5-small")
    model = AutoModelForSeq2SeqLM.from_pretrained("t5-small")
    inputs = tokenizer("translate English to German: I love deep learning.", return_tensors="pt")
    with torch.inference_mode():
        output_ids = model.generate(**inputs, max_new_tokens=50)
    theirs = oracle("AutoModelForSeq2SeqLM", checkpoints, "google-t5/t5-small")
    assert torch.equal(output_ids, theirs.generate(**inputs, max_new_tokens=50))
    assert isinstance(tokenizer.decode(output_ids[0], skip_special_tokens=True), str)


def test_004_17_a_loop_by_hand(gpt2: tuple[Any, Any]) -> None:
    tokenizer, model = gpt2
    input_ids = tokenizer("Once upon a time", return_tensors="pt")["input_ids"]
    length = input_ids.shape[1]
    for _ in range(5):
        with torch.inference_mode():
            outputs = model(input_ids=input_ids)
        next_token = outputs.logits[:, -1, :].argmax(dim=-1, keepdim=True)
        input_ids = torch.concat([input_ids, next_token], dim=-1)
    assert input_ids.shape == (1, length + 5)
    assert tokenizer.decode(input_ids[0]).startswith("Once upon a time")


def test_004_19_and_20_a_cache(gpt2: tuple[Any, Any]) -> None:
    tokenizer, model = gpt2
    ids = tokenizer("Once upon a time the cat sat on the mat.", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        outputs = model(input_ids=ids[:, :-3], use_cache=True)
        past_key_values = outputs.past_key_values
        assert len(past_key_values) == 2
        assert past_key_values.get_seq_length() == ids.shape[1] - 3
        for step in range(ids.shape[1] - 3, ids.shape[1]):
            outputs = model(input_ids=ids[:, step : step + 1], past_key_values=past_key_values, use_cache=True)
            past_key_values = outputs.past_key_values
            whole = model(input_ids=ids[:, : step + 1], use_cache=False)
            close(outputs.logits[:, -1], whole.logits[:, -1])
    assert outputs.logits.shape == (1, 1, 50257)


def test_004_25_to_27_attentions(checkpoints: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained(
        "bert-base-uncased", num_labels=2, attn_implementation="eager"
    )
    inputs = tokenizer("I love deep learning.", return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs, output_attentions=True)
    print("Number of layers:", len(outputs.attentions))
    print(outputs.attentions[0].shape)
    print(outputs.attentions[0][0, 0].shape)
    assert capsys.readouterr().out.splitlines() == [
        "Number of layers: 12",
        "torch.Size([1, 12, 7, 7])",
        "torch.Size([7, 7])",
    ]
    theirs = oracle("AutoModel", checkpoints, "google-bert/bert-base-uncased", attn_implementation="eager")
    for ours, expected in zip(outputs.attentions, theirs(**inputs, output_attentions=True).attentions, strict=True):
        close(ours, expected)
    torch.testing.assert_close(outputs.attentions[0][0, 0].sum(-1), torch.ones(7))


def test_004_28_hidden_states() -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
    outputs = model(**tokenizer("I love deep learning.", return_tensors="pt"), output_hidden_states=True)
    assert len(outputs.hidden_states) == 13
    assert {state.shape for state in outputs.hidden_states} == {(1, 7, 48)}


def test_004_29_a_heat_map(capsys: pytest.CaptureFixture[str]) -> None:
    from headway import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModel.from_pretrained("bert-base-uncased", attn_implementation="eager")
    inputs = tokenizer("The cat sat on the mat because it was very tired.", return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs, output_attentions=True)
    attention = outputs.attentions[-1][0].mean(dim=0)
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    print("Attention weights shape:", attention.shape)
    assert capsys.readouterr().out == "Attention weights shape: torch.Size([14, 14])\n"
    assert tokens == [
        "[CLS]",
        "the",
        "cat",
        "sat",
        "on",
        "the",
        "mat",
        "because",
        "it",
        "was",
        "very",
        "tired",
        ".",
        "[SEP]",
    ]
    assert attention.numpy().shape == (14, 14)


def test_004_30_a_loss_with_labels() -> None:
    from headway import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased", num_labels=2)
    inputs = tokenizer(["I love deep learning.", "I hate it."], return_tensors="pt", padding=True)
    outputs = model(**inputs, labels=torch.tensor([1, 0]))
    assert outputs.loss.item() == pytest.approx(0.69, abs=0.15)
    assert list(outputs) == ["loss", "logits"]


def test_004_31_a_shifted_loss(gpt2: tuple[Any, Any], checkpoints: dict[str, Path]) -> None:
    tokenizer, model = gpt2
    inputs = tokenizer("Deep learning is fun and I love it.", return_tensors="pt")
    loss = model(**inputs, labels=inputs["input_ids"]).loss
    theirs = oracle("AutoModelForCausalLM", checkpoints, "openai-community/gpt2")
    close(loss, theirs(**inputs, labels=inputs["input_ids"]).loss)
    logits = model(**inputs).logits[:, :-1]
    close(loss, F.cross_entropy(logits.flatten(0, 1), inputs["input_ids"][:, 1:].flatten()))


# --- 1.8: errors --------------------------------------------------------------------------------------------------


def test_1_8_every_text_head_on_every_named_checkpoint() -> None:
    """Never ``Unrecognized configuration class`` for a head of the modality."""
    import headway

    heads = ("SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice")
    for name in (
        "bert-base-uncased",
        "gpt2",
        "mistralai/Mistral-7B-v0.1",
        "google/flan-t5-large",
        "distilbert-base-uncased",
    ):
        for head in heads:
            model = getattr(headway, f"AutoModelFor{head}").from_pretrained(name)
            assert model.load_report.new
            assert all(name.startswith("head.") or "pooler" in name for name in model.load_report.new)


def test_1_8_a_pair_that_makes_no_sense() -> None:
    from headway import AutoModelForImageClassification

    with pytest.raises(ValueError, match=r"^Unrecognized configuration class"):
        AutoModelForImageClassification.from_pretrained("bert-base-uncased")


def test_1_8_logits_of_a_base_model(bert: tuple[Any, Any]) -> None:
    tokenizer, model = bert
    outputs = model(**tokenizer("Hello", return_tensors="pt"))
    with pytest.raises(KeyError, match=r"^'logits'") as caught:
        outputs["logits"]
    assert "AutoModelFor" in "".join(caught.value.__notes__)


def test_1_8_ids_without_a_batch(bert: tuple[Any, Any]) -> None:
    tokenizer, model = bert
    with pytest.raises(ValueError, match=r"^Expected input_ids to have shape \[batch, seq_len\], got \[7\]"):
        model(input_ids=torch.tensor(tokenizer("I love deep learning.")["input_ids"]))


def test_1_8_another_number_of_labels_just_loads(said: list[str]) -> None:
    from headway import AutoModelForSequenceClassification

    name = "nlptown/bert-base-multilingual-uncased-sentiment"
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=3)
    assert model(input_ids=torch.tensor([[101, 102]])).logits.shape == (1, 3)
    assert len(said) == 1
    assert "[5, 48] in the checkpoint, [3, 48] in the model" in said[0]


def test_1_8_attentions_of_the_default_kernel_are_real(bert: tuple[Any, Any]) -> None:
    tokenizer, model = bert
    outputs = model(**tokenizer("Hello", return_tensors="pt"), output_attentions=True)
    assert [weights.shape for weights in outputs.attentions] == [(1, 12, 3, 3)] * 12


# --- where checkpoints come from ----------------------------------------------------------------------------------


def test_a_cached_checkpoint_asks_the_hub_for_nothing(online: Hub) -> None:
    from headway import AutoModel, AutoTokenizer

    for name in ("bert-base-uncased", "google-bert/bert-base-uncased"):
        AutoModel.from_pretrained(name)
        AutoTokenizer.from_pretrained(name)
    before = list(online.requests)
    AutoModel.from_pretrained("bert-base-uncased")
    AutoTokenizer.from_pretrained("bert-base-uncased")
    AutoModel.from_pretrained("google-bert/bert-base-uncased", local_files_only=True)
    assert online.requests == before


def test_the_keywords_of_places(online: Hub, tmp_path: Path, checkpoints: dict[str, Path]) -> None:
    from headway import AutoConfig, AutoModel

    online.add("org/tuned", checkpoints["openai-community/gpt2"], revision="v1")
    options = {"revision": "v1", "cache_dir": tmp_path / "cache", "token": False}
    assert AutoModel.from_pretrained("org/tuned", **options).config.n_embd == 24
    assert AutoConfig.from_pretrained("org/tuned", proxies={}, force_download=True, **options).n_embd == 24
    folder = tmp_path / "outer" / "inner"
    AutoModel.from_pretrained("gpt2").save_pretrained(folder)
    assert AutoModel.from_pretrained(tmp_path / "outer", subfolder="inner").load_report.clean
    assert AutoConfig.from_pretrained("./outer/inner/config.json").n_embd == 24
