"""What pipelines promise, on the small models that come with headway and on tiny random ones."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import headway
from headway import InputError, WeightsError, pipeline
from headway.embedded import folder
from headway.pipelines import Options, Pipeline, option
from headway.pipelines.base import PIPELINES, find_pipeline, pipelines
from headway.pipelines.fill_mask import FillMaskPipeline
from headway.pipelines.question_answering import QuestionAnsweringPipeline
from headway.pipelines.token_classification import TokenClassificationPipeline

TASKS = ("text-classification", "token-classification", "question-answering", "fill-mask", "feature-extraction")
SENTENCE = "My name is Wolfgang and I live in Berlin"


@cache
def embedded(task: str) -> Any:
    return pipeline(task, device="cpu")


def question(text: str) -> dict[str, str]:
    return {"question": "Where does Wolfgang live?", "context": text}


def inputs(task: str, texts: list[str]) -> list[Any]:
    """Inputs of a task, made of plain texts."""
    if task == "question-answering":
        return [question(text) for text in texts]
    return [f"{text} [MASK]" for text in texts] if task == "fill-mask" else texts


def flat(answer: Any) -> list[Any]:
    """All values of an answer in a row, scores as numbers."""
    if isinstance(answer, dict):
        return [value for key in sorted(answer) for value in flat(answer[key])]
    return [value for part in answer for value in flat(part)] if isinstance(answer, list) else [answer]


def assert_close(one: Any, other: Any, tolerance: float = 1e-5) -> None:
    mine, yours = flat(one), flat(other)
    assert len(mine) == len(yours)
    for a, b in zip(mine, yours, strict=True):
        assert a == (pytest.approx(b, abs=tolerance) if isinstance(a, float) else b)


# --- all tasks ----------------------------------------------------------------------------------------------------


def test_every_task_has_a_small_model_with_a_card() -> None:
    assert set(TASKS) <= set(pipelines())
    for task in TASKS:
        place = folder(task)
        assert place is not None
        size = sum(file.stat().st_size for file in place.iterdir())
        assert size < 500_000
        assert "toy" in (place / "README.md").read_text()
        assert json.loads((place / "config.json").read_text())["dtype"] == "float32"


@pytest.mark.parametrize("task", TASKS)
def test_one_several_and_a_stream(task: str) -> None:
    run = embedded(task)
    given = inputs(task, [SENTENCE, "I love Paris.", "Anna works for Google and lives in New York City."])
    several = run(given)
    assert isinstance(several, list)
    assert len(several) == 3
    stream = run(item for item in given)
    assert isinstance(stream, Iterator)
    assert_close(list(stream), several)
    assert_close(run(tuple(given)), several)
    for item, answer in zip(given, several, strict=True):
        alone = run(item)
        assert_close(alone[0] if task == "text-classification" else alone, answer)
    assert run([]) == []
    assert list(run(iter([]))) == []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("options", [{"batch_size": 1}, {"batch_size": 3}, {}])
def test_answers_do_not_depend_on_the_batch_and_come_in_order(task: str, options: dict[str, Any]) -> None:
    run = embedded(task)
    texts = [
        " ".join([SENTENCE] * count) + f" near {city}"
        for count, city in zip((3, 1, 7, 2, 1, 9, 1), "ABCDEFG", strict=True)
    ]
    given = inputs(task, texts)
    together = run(given, **options)
    for item, answer in zip(given, together, strict=True):
        assert_close(run([item])[0], answer)


def test_a_stream_is_read_no_further_than_needed() -> None:
    read = []

    def stream() -> Iterator[str]:
        for number in itertools.count():
            read.append(number)
            yield "good"

    answers = embedded("text-classification")(stream())
    next(answers)
    assert len(read) == 1
    for _ in range(10):
        next(answers)
    assert len(read) <= 31


@pytest.mark.parametrize("task", TASKS)
def test_unknown_options_and_wrong_inputs_are_refused(task: str) -> None:
    run = embedded(task)
    with pytest.raises(InputError, match=r"no option .batchsize.\. Did you mean .batch_size."):
        run("x [MASK]", batchsize=3)
    with pytest.raises(InputError, match="batch_size must be an integer of at least 1"):
        run("x [MASK]", batch_size=0)
    with pytest.raises(InputError):
        run(3)
    with pytest.raises(InputError):
        run([None])
    with pytest.raises(InputError, match="no option 'aggregation'"):
        pipeline(task, aggregation="x")


def test_unknown_tasks_and_choices_name_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'text-classification'"):
        pipeline("text-clasification")
    with pytest.raises(InputError, match="Did you mean 'simple'"):
        embedded("token-classification")("x", aggregation_strategy="simpel")
    with pytest.raises(InputError, match="task or a model"):
        pipeline()
    assert find_pipeline("ner") is find_pipeline("token-classification")
    assert find_pipeline("sentiment-analysis").task == "text-classification"


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_plain_json(task: str) -> None:
    answer = embedded(task)(inputs(task, [SENTENCE]))
    assert json.loads(json.dumps(answer)) == answer


def test_the_task_is_told_by_the_head() -> None:
    for task in (
        "text-classification",
        "token-classification",
        "question-answering",
        "fill-mask",
        "feature-extraction",
    ):
        made = pipeline(model=str(folder(task)))
        assert made.task == task
    assert pipeline(model=embedded("fill-mask").model, tokenizer=embedded("fill-mask").tokenizer).task == "fill-mask"


def test_a_model_and_its_tokenizer_may_be_given() -> None:
    place = folder("text-classification")
    assert place is not None
    model = headway.AutoModelForSequenceClassification.from_pretrained(place)
    tokenizer = headway.AutoTokenizer.from_pretrained(place)
    want = embedded("text-classification")("I love it")
    assert_close(pipeline("text-classification", model, tokenizer=tokenizer)("I love it"), want)
    assert_close(pipeline("text-classification", model)("I love it"), want)
    assert_close(pipeline("text-classification", str(place), tokenizer=str(place), device=-1)("I love it"), want)
    assert_close(pipeline("text-classification", place, dtype=torch.float64)("I love it"), want, 1e-4)


def test_devices_that_are_not_there_are_refused() -> None:
    with pytest.raises(InputError, match="no device"):
        pipeline("text-classification", device="moon")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU"):
            pipeline("text-classification", device=0)


def test_a_head_that_the_checkpoint_lacks_is_refused() -> None:
    place = str(folder("fill-mask"))
    with pytest.raises(WeightsError, match=r"no trained head for token-classification.*allow_new_head=True") as caught:
        pipeline("token-classification", place)
    assert "\n" not in str(caught.value)
    assert pipeline("token-classification", place, allow_new_head=True)("hello") is not None
    # Its backbone is all there, and the states do not depend on a pooler.
    assert pipeline("feature-extraction", place)("hello")


def test_a_head_of_other_labels_is_refused() -> None:
    place = str(folder("text-classification"))
    model = headway.AutoModelForSequenceClassification.from_pretrained(place, num_labels=7)
    with pytest.raises(WeightsError, match="no trained head"):
        pipeline("text-classification", model)


def test_a_task_of_ones_own() -> None:
    @dataclass(frozen=True, kw_only=True)
    class ShoutOptions(Options):
        mark: str = option("!", "what to end in", str)

    class Shout(Pipeline):
        task = "test-shout"
        auto = "AutoModel"
        summary = "texts in upper case"
        Options = ShoutOptions

        def run(self, items: Any, options: Any) -> list[Any]:
            return [{"text": item.upper() + options.mark} for item in items]

    try:
        made = pipeline(
            "test-shout", embedded("feature-extraction").model, tokenizer=embedded("feature-extraction").tokenizer
        )
        assert made("hello") == {"text": "HELLO!"}
        assert list(made(iter(["a", "b"]), mark="?")) == [{"text": "A?"}, {"text": "B?"}]
        with pytest.raises(InputError, match="no small model for test-shout"):
            pipeline("test-shout")
    finally:
        del PIPELINES["test-shout"]


# --- text classification ------------------------------------------------------------------------------------------


def test_sentiment() -> None:
    run = embedded("text-classification")
    (love,) = run("I love this movie!")
    assert love["label"] == "POSITIVE"
    assert love["score"] > 0.8
    assert run(["This film was terrible.", "It was not bad at all."]) == [
        {"label": "NEGATIVE", "score": pytest.approx(0.9, abs=0.1)},
        {"label": "POSITIVE", "score": pytest.approx(0.9, abs=0.2)},
    ]


def test_the_shapes_of_top_k() -> None:
    run = embedded("text-classification")
    assert isinstance(run("good"), list)
    assert isinstance(run(["good"])[0], dict)
    every = run("good", top_k=None)
    assert [row["label"] for row in every] == ["POSITIVE", "NEGATIVE"]
    assert sum(row["score"] for row in every) == pytest.approx(1)
    assert len(run("good", top_k=1)) == 1
    assert [len(rows) for rows in run(["good", "bad"], top_k=5)] == [2, 2]
    raw = {row["label"]: row["score"] for row in run("good", top_k=None, function_to_apply="none")}
    soft = {row["label"]: row["score"] for row in every}
    assert soft["POSITIVE"] == pytest.approx(1 / (1 + np.exp(raw["NEGATIVE"] - raw["POSITIVE"])), abs=1e-5)


def test_a_long_text_is_read_to_its_end() -> None:
    run = embedded("text-classification")
    start, rest = "I hate it. " * 20, "It was wonderful. " * 200
    assert run([start])[0]["label"] == "NEGATIVE"
    assert run([start + rest])[0]["label"] == "POSITIVE"
    assert run([start + rest], truncation=True, max_length=40)[0]["label"] == "NEGATIVE"


# --- token classification -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
@pytest.mark.parametrize(
    ("text", "want"),
    [
        (SENTENCE, [("PER", "Wolfgang"), ("LOC", "Berlin")]),
        ("Hugging Face is based in New York City", [("ORG", "Hugging Face"), ("LOC", "New York City")]),
    ],
)
def test_entities(text: str, want: list[tuple[str, str]], strategy: str) -> None:
    found = embedded("token-classification")(text, aggregation_strategy=strategy)
    assert [(entity["entity_group"], entity["word"]) for entity in found] == want
    assert all(text[entity["start"] : entity["end"]] == entity["word"] for entity in found)


def test_tokens_without_aggregation() -> None:
    found = embedded("token-classification")(SENTENCE)
    assert all(set(token) == {"entity", "score", "index", "word", "start", "end"} for token in found)
    assert "".join(SENTENCE[token["start"] : token["end"]] for token in found) == "WolfgangBerlin"
    assert found[-1]["entity"] == "B-LOC"


def test_words_that_are_split_already() -> None:
    run = embedded("token-classification")
    words = SENTENCE.split()
    options = {"aggregation_strategy": "first"}
    assert_close(run(words, is_split_into_words=True, **options), run(SENTENCE, **options))
    both = run([words, words[:4]], is_split_into_words=True, delimiter="  ", **options)
    text = "  ".join(words)
    assert [text[one["start"] : one["end"]] for one in both[0]] == ["Wolfgang", "Berlin"]
    assert len(both) == 2


def test_entities_run_through_windows() -> None:
    run = embedded("token-classification")
    text = "Anna visited Berlin. " * 30
    short = run(text, aggregation_strategy="simple", max_length=24)
    whole = run("Anna visited Berlin. ", aggregation_strategy="simple")
    assert [(one["start"], one["end"]) for one in short] == [
        (21 * number + one["start"], 21 * number + one["end"]) for number in range(30) for one in whole
    ]
    cut = run(text, aggregation_strategy="simple", max_length=24, truncation=True)
    assert 0 < len(cut) < len(short)


class Knowing:
    """Stands for a model that knows some words of ``tokenizer`` and gives their tokens, and no others, a logit of 9."""

    def __init__(self, tokenizer: Any, words: set[str], width: int = 512) -> None:
        self.config = headway.BertConfig(id2label={0: "O", 1: "B-LOC", 2: "I-LOC"}, max_position_embeddings=width)
        self.device = torch.device("cpu")
        self.known = [id for token, id in tokenizer.get_vocab().items() if token.strip("Ġ▁") in words]
        self.widest = 0

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        self.widest = max(self.widest, input_ids.shape[1])
        known = 9.0 * torch.isin(input_ids, torch.tensor(self.known))
        return {"logits": torch.stack((9 - known, known, 0 * known), -1), "start_logits": known, "end_logits": known}


@pytest.mark.parametrize("kind", ["byte-level", "metaspace", "wordpiece"])
@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_spans_are_the_entity_for_every_tokenizer(kind: str, strategy: str) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["Berlin", "Oslo", "from", "to", ".", ",", "(", ")", "l", "'"]
    start = {"byte-level": "Ġ", "metaspace": "▁", "wordpiece": ""}[kind]
    vocabulary = ["[UNK]", *words, *(start + word for word in words if start)]
    model = models.WordLevel({token: number for number, token in enumerate(vocabulary)}, unk_token="[UNK]")
    if kind != "wordpiece":
        pieces = [(token, -1.0) for token in vocabulary]
        model = models.Unigram(pieces, 0, False)
    backend = Tokenizer(model)
    backend.pre_tokenizer = {
        "byte-level": pre_tokenizers.ByteLevel(add_prefix_space=False),
        "metaspace": pre_tokenizers.Metaspace(),
        "wordpiece": pre_tokenizers.BertPreTokenizer(),
    }[kind]
    tokenizer = headway.Tokenizer(tokenizer_object=backend, unk_token="[UNK]")
    run = TokenClassificationPipeline(Knowing(tokenizer, {"Berlin", "Oslo"}), tokenizer, aggregation_strategy=strategy)
    text = "from Berlin, to (Oslo)."
    found = run(text)
    assert [text[one["start"] : one["end"]] for one in found] == ["Berlin", "Oslo"]


# --- fill-mask ----------------------------------------------------------------------------------------------------


def test_capitals() -> None:
    run = embedded("fill-mask")
    best = run("The capital of France is [MASK].")[0]
    assert best["token_str"] == "paris"
    assert best["sequence"] == "the capital of france is paris."
    assert best["score"] > 0.5
    assert len(run("The capital of France is [MASK].")) == 5


def test_several_masks_and_targets() -> None:
    run = embedded("fill-mask")
    first, second = run("The [MASK] of France is [MASK].", top_k=2)
    assert len(first) == len(second) == 2
    assert "[MASK]" in first[0]["sequence"]
    among = run("The capital of France is [MASK].", targets=["rome", "paris", "berlin"])
    assert among[0]["token_str"] == "paris"
    assert {row["token_str"] for row in among} == {"rome", "paris", "berlin"}
    free = {row["token"]: row["score"] for row in run("The capital of France is [MASK].", top_k=len(run.tokenizer))}
    assert sum(free.values()) == pytest.approx(1, abs=1e-4)
    assert all(row["score"] == pytest.approx(free[row["token"]], abs=1e-6) for row in among)
    with pytest.raises(InputError, match="'zyzzyva' is no single token"):
        run("a [MASK]", targets="zyzzyva")


def test_a_text_without_a_mask_is_refused() -> None:
    with pytest.raises(InputError, match=r"no mask: write \[MASK\]"):
        embedded("fill-mask")("The capital of France is <mask>.")


class Counting:
    """Stands for a model that answers each mask with the token that stands before it."""

    def __init__(self, width: int) -> None:
        self.config = headway.BertConfig(max_position_embeddings=width)
        self.device = torch.device("cpu")

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> dict[str, torch.Tensor]:
        assert input_ids.shape[1] <= self.config.max_position_embeddings
        return {"logits": 9.0 * torch.nn.functional.one_hot(input_ids.roll(1, 1), 1200).float()}


def test_masks_far_into_a_text() -> None:
    tokenizer = embedded("token-classification").tokenizer
    run = FillMaskPipeline(Counting(20), tokenizer, top_k=1)
    words = ["Paris", "Berlin", "London", "the", "is"] * 20
    text = " ".join(f"{word} [MASK]" for word in words)
    assert [rows[0]["token_str"] for rows in run(text)] == words
    with pytest.raises(InputError, match="cut before"):
        run(text, tokenizer_kwargs={"truncation": True})


# --- question answering -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "context", "want"),
    [
        ("Where does Wolfgang live?", SENTENCE, "Berlin"),
        ("What is my name?", SENTENCE, "Wolfgang"),
        ("Who is based in New York City?", "Hugging Face is based in New York City", "Hugging Face"),
    ],
)
def test_answers(asked: str, context: str, want: str) -> None:
    found = embedded("question-answering")(question=asked, context=context)
    assert found["answer"] == want
    assert context[found["start"] : found["end"]] == want
    assert set(found) == {"score", "start", "end", "answer"}


def test_one_context_for_several_questions() -> None:
    run = embedded("question-answering")
    found = run(question=["Where does Wolfgang live?", "What is my name?"], context=SENTENCE)
    assert [one["answer"] for one in found] == ["Berlin", "Wolfgang"]
    with pytest.raises(InputError, match="2 questions, but 1 contexts"):
        run(question=["a", "b"], context=["c"])
    with pytest.raises(InputError, match="needs a context"):
        run(question="a", context=" ")
    with pytest.raises(InputError, match="question= and context="):
        run()


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_exactly_as_many_answers_as_asked_for(count: int) -> None:
    context = "Anna lives in Rome. " * 4 + SENTENCE + ". Peter works for Google."
    found = embedded("question-answering")(**question(context), top_k=count)
    rows = [found] if count == 1 else found
    assert len(rows) == count
    assert len({(row["start"], row["end"]) for row in rows}) == count
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert all(context[row["start"] : row["end"]] == row["answer"] for row in rows)
    assert sum(row["score"] for row in rows) <= 1 + 1e-5


def test_fewer_answers_where_there_are_no_more() -> None:
    found = embedded("question-answering")(question="Where?", context="In Rome", top_k=50)
    assert {row["answer"] for row in found} == {"In", "Rome", "In Rome"}


@pytest.mark.parametrize("options", [{}, {"doc_stride": 5, "max_seq_len": 40}, {"stride": 0, "max_length": 30}])
def test_a_long_context_is_read_in_windows(options: dict[str, Any]) -> None:
    tokenizer = embedded("token-classification").tokenizer
    model = Knowing(tokenizer, {"Berlin"}, width=60)
    run = QuestionAnsweringPipeline(model, tokenizer)
    filler = "the lamp is on the table . " * 60
    for context in (f"{filler}in Berlin . {filler}", f"Berlin {filler}", f"{filler} Berlin"):
        found = run(question="Where does Wolfgang live?", context=context, **options)
        assert found["answer"] == "Berlin"
        assert context[found["start"] : found["end"]] == "Berlin"
        # There is no other such token in any window, so it takes nearly all of the probability.
        assert found["score"] > 0.5
    assert model.widest <= options.get("max_seq_len", options.get("max_length", 60))


def test_no_answer_may_be_an_answer() -> None:
    run = embedded("question-answering")
    sure = run(**question(SENTENCE), handle_impossible_answer=True, top_k=3)
    assert len(sure) == 3
    every = run(**question(SENTENCE), handle_impossible_answer=True, top_k=200)
    assert [row for row in every if row["answer"] == ""]
    assert not [row for row in run(**question(SENTENCE), top_k=200) if row["answer"] == ""]


def test_answers_are_whole_words_and_short() -> None:
    run = embedded("question-answering")
    sentence = "Xyzzyva lives in Quuxburg"
    words = set(sentence.split())
    rows = run(**question(sentence), top_k=30, max_answer_len=8)
    assert {row["answer"] for row in rows} >= words
    assert all(set(row["answer"].split()) <= words for row in rows)
    short = run(**question(SENTENCE), top_k=100, max_answer_len=2)
    assert max(len(row["answer"].split()) for row in short) == 2
    pieces = run(**question(sentence), top_k=100, align_to_words=False)
    assert any(not set(row["answer"].split()) <= words for row in pieces)


def test_a_question_that_is_too_long_is_not_cut() -> None:
    with pytest.raises(InputError, match="more than max_question_len=64"):
        embedded("question-answering")(question="where " * 70, context=SENTENCE)


# --- feature extraction -------------------------------------------------------------------------------------------


def test_states_and_pooling() -> None:
    run = embedded("feature-extraction")
    states = np.array(run(SENTENCE))
    tokens = len(run.tokenizer(SENTENCE)["input_ids"])
    assert states.shape == (1, tokens, run.model.config.hidden_size)
    assert np.allclose(run(SENTENCE, pooling="mean"), states[0].mean(0), atol=1e-5)
    assert np.allclose(run([SENTENCE], pooling="cls")[0], states[0, 0], atol=1e-6)
    tensor = run(SENTENCE, return_tensors=True)
    assert isinstance(tensor, torch.Tensor)
    assert np.allclose(tensor.numpy(), states)


def test_like_meanings_are_near() -> None:
    texts = [
        "A man is playing a guitar.",
        "Someone strummed a guitar",
        "The stock market fell",
        "Share prices dropped yesterday",
    ]
    vectors = np.array(embedded("feature-extraction")(texts, pooling="mean"))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = vectors @ vectors.T
    assert near[0, 1] > max(near[0, 2], near[0, 3], near[1, 2], near[1, 3])
    assert near[2, 3] > max(near[0, 2], near[0, 3], near[1, 2], near[1, 3])


def test_the_states_of_a_long_text() -> None:
    run = embedded("feature-extraction")
    text = "a dog barked in the park " * 40
    tokens = len(run.tokenizer(text, verbose=False)["input_ids"])
    states = np.array(run(text))
    assert states.shape[1] == tokens > run.max_tokens
    assert np.abs(states).sum(-1).min() > 0
    assert np.array(run(text, tokenize_kwargs={"truncation": True})).shape[1] == run.max_tokens
