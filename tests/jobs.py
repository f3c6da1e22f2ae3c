"""A small training for every task: a checkpoint, and a file of rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from headway.auto.tokenizer import AutoTokenizer
from headway.embedded import folder
from headway.generation.config import GenerationConfig
from headway.training.data import Row
from small import small_model

WORDS = ["good", "fine", "great", "bad", "poor", "dull"]
CONTEXT = "My name is Wolfgang and I live in Berlin"


def reviews(count: int = 20) -> list[Row]:
    """Reviews whose words tell their labels."""
    return [
        {"text": f"The film was {WORDS[at % 6]}, said <b>{at}</b>.", "label": ["yes", "no"][at % 6 // 3]}
        for at in range(count)
    ]


def question(at: int) -> Row:
    """A question that SQuAD might ask; every fifth has no answer."""
    answer = [] if at % 5 == 0 else [["Wolfgang", "Berlin"][at % 2]]
    starts = [CONTEXT.index(text) for text in answer]
    return {"question": "Who is it?", "context": CONTEXT, "answers": {"text": answer, "answer_start": starts}}


class Case(NamedTuple):
    """A small model and what it is trained on; ``metric`` is one of those that must come out."""

    family: str
    head: str
    rows: list[Row]
    metric: str
    settings: dict[str, Any] = {}  # noqa: RUF012 - read only


SENTENCES = [{"tokens": ["Wolfgang", "lives", "in", "Berlin", "."], "ner_tags": ["B-PER", "O", "O", "B-LOC", "O"]}]
CHOICES = [
    {"question": "The sky is", "choices": ["blue", "a fish"], "answer": ["blue", "a fish"][at % 2]} for at in range(20)
]
PAIRS = [{"source": f"say {word}", "target": word} for word in WORDS * 3]
CASES = {
    "text-classification": Case("bert", "sequence-classification", reviews(), "accuracy"),
    "token-classification": Case("bert", "token-classification", SENTENCES * 20, "f1"),
    "question-answering": Case("bert", "question-answering", [question(at) for at in range(20)], "exact_match"),
    "fill-mask": Case("bert", "masked-lm", reviews(), "perplexity"),
    "multiple-choice": Case("bert", "multiple-choice", CHOICES, "accuracy"),
    "text-generation": Case("gpt2", "causal-lm", reviews(), "perplexity"),
    "text2text-generation": Case("t5", "seq2seq-lm", PAIRS, "rougeL", {"max_target_length": 6}),
    "summarization": Case(
        "t5",
        "seq2seq-lm",
        [{"article": r["source"], "summary": r["target"]} for r in PAIRS],
        "rouge1",
        {"max_target_length": 6},
    ),
    "translation": Case("t5", "seq2seq-lm", PAIRS, "rougeL", {"max_target_length": 6, "written_rows": 1}),
}


def checkpoint(path: Path, case: Case) -> Path:
    """A small model of the case with a tokenizer."""
    tokenizer = AutoTokenizer.from_pretrained(folder("fill-mask"))
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": 2, "eos_token_id": 3}
    special |= {"decoder_start_token_id": tokenizer.pad_token_id}
    fields = {"vocab_size": len(tokenizer), "max_position_embeddings": 64, **special}
    if case.family == "gpt2":
        fields["n_positions"] = fields.pop("max_position_embeddings")
    elif case.family == "t5":
        fields.pop("max_position_embeddings")
    model = small_model(case.family, case.head, **fields)
    if model.can_generate():
        model.generation_config = GenerationConfig(max_new_tokens=4, num_beams=1, **special)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def written(path: Path, rows: list[Row]) -> str:
    """Rows as a file of JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)
