"""Tasks of one's own, tasks that nobody names, and inputs from data sets."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from test_pipelines import assert_close, embedded
from transformers.pipelines.pt_utils import KeyDataset

import headway
from headway import PIPELINE_REGISTRY, AutoModelForSequenceClassification, InputError, Pipeline, pipeline
from headway.embedded import folder
from headway.pipelines.base import PIPELINES, pipelines
from headway.pipelines.text_classification import TextClassificationPipeline
from small import one_sentence, small_model

PLACE = str(folder("text-classification"))
TEXTS = ["I love this movie!", "The plot was dull."]


class PairPipeline(Pipeline):
    """Written as programs of the field are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made = True

    def _sanitize_parameters(self, **kwargs: Any) -> Any:
        preprocess_kwargs = {}
        if "second_text" in kwargs:
            preprocess_kwargs["second_text"] = kwargs["second_text"]
        return preprocess_kwargs, {}, {}

    def preprocess(self, text: str, second_text: str | None = None) -> Any:
        return self.tokenizer(text, text_pair=second_text, return_tensors="pt")

    def _forward(self, model_inputs: Any) -> Any:
        assert not torch.is_grad_enabled()
        return self.model(**model_inputs)

    def postprocess(self, model_outputs: Any) -> Any:
        logits = model_outputs.logits[0].numpy()
        shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        best = int(np.argmax(shares))
        return {"label": self.model.config.id2label[best], "score": shares[best].item(), "logits": logits.tolist()}


@pytest.fixture
def _table() -> Iterator[None]:
    known = pipelines()
    yield
    PIPELINES.clear()
    PIPELINES.update(known)


# --- tasks of one's own -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_table")
def test_a_class_of_the_field_runs_as_it_is() -> None:
    PIPELINE_REGISTRY.register_pipeline(
        "pair-classification", pipeline_class=PairPipeline, pt_model=AutoModelForSequenceClassification
    )
    assert "pair-classification" in PIPELINE_REGISTRY.get_supported_tasks()
    run = pipeline("pair-classification", model=PLACE)
    assert isinstance(run, PairPipeline)
    assert run.task == "pair-classification"
    assert run.made
    plain = pipeline("text-classification", PLACE)
    (want,) = plain({"text": TEXTS[0], "text_pair": TEXTS[1]}, top_k=1)
    found = run(TEXTS[0], second_text=TEXTS[1])
    assert_close({name: found[name] for name in want}, want)
    assert run(TEXTS, second_text=TEXTS[1])[0] == found
    assert next(run((text for text in TEXTS), second_text=TEXTS[1], batch_size=2)) == found
    assert pipeline("pair-classification", PLACE, second_text=TEXTS[1])(TEXTS[0]) == found
    with pytest.raises(InputError, match="no small model for pair-classification"):
        pipeline("pair-classification")


def test_a_class_in_place_of_the_tasks() -> None:
    run = pipeline("text-classification", PLACE, pipeline_class=PairPipeline)
    assert type(run) is PairPipeline
    assert run(TEXTS[0])["label"] == "POSITIVE"
    made = PairPipeline(model=run.model, tokenizer=run.tokenizer, second_text="x")
    assert made(TEXTS[0]) == run(TEXTS[0], second_text="x")


@pytest.mark.usefixtures("_table")
def test_a_default_model_and_a_model_class() -> None:
    PIPELINE_REGISTRY.register_pipeline(
        "pairs", PairPipeline, pt_model=headway.BertForSequenceClassification, default={"pt": (PLACE, None)}
    )
    assert pipeline("pairs")(TEXTS[0])["label"] == "POSITIVE"


@pytest.mark.usefixtures("_table")
def test_what_a_class_needs_is_said_by_it() -> None:
    class Shape(Pipeline):
        task = "test-shape"
        auto = "AutoModel"
        _load_image_processor = True
        _load_tokenizer = False

        def _sanitize_parameters(self, scale: int = 1) -> Any:
            return {}, {}, {"scale": scale}

        def preprocess(self, image: Any) -> Any:
            return {"pixel_values": self.image_processor(image)["pixel_values"], "name": "x"}

        def _forward(self, inputs: Any) -> Any:
            assert inputs.pop("name") == "x"
            return [self.model(**inputs), "kept"]

        def postprocess(self, outputs: Any, scale: int = 1) -> Any:
            assert outputs[1] == "kept"
            return [size * scale for size in outputs[0].last_hidden_state.shape]

    assert Shape.parts == ("image_processor",)
    model, image = small_model("vit"), np.zeros((9, 9, 3), np.uint8)
    run = pipeline("test-shape", model, image_processor=headway.ImageProcessor(size=8))
    assert run([image]) == [[1, 5, 16]]
    assert run([image], scale=2) == [[2, 10, 32]]
    with pytest.raises(InputError, match=r"no option 'scales'\. Did you mean 'scale'"):
        run([image], scales=2)
    with pytest.raises(InputError, match="no option 'scales'"):
        pipeline("test-shape", model, image_processor=run.image_processor, scales=3)


def test_what_the_registry_refuses() -> None:
    for given in ({"pipeline_class": int}, {"type": "smell"}, {"pt_model": (int, float)}):
        with pytest.raises(InputError) as caught:
            PIPELINE_REGISTRY.register_pipeline("x", **{"pipeline_class": PairPipeline, **given})  # type: ignore[arg-type]
        one_sentence(caught.value)
    assert "x" not in PIPELINE_REGISTRY.get_supported_tasks()


def test_a_step_that_would_never_run_is_refused() -> None:
    with pytest.raises(TypeError, match="defines postprocess, but a TextPipeline does not run in steps"):

        class Better(TextClassificationPipeline):
            def postprocess(self, outputs: Any) -> Any:
                return outputs


def test_an_answer_of_ones_own() -> None:
    class Loud(TextClassificationPipeline):
        def answer(self, document: Any, outputs: Any, options: Any) -> Any:
            return super().answer(document, outputs, options)["label"].upper() + "!"

    assert pipeline(model=PLACE, pipeline_class=Loud)(TEXTS) == ["POSITIVE!", "NEGATIVE!"]


# --- tasks that nobody names --------------------------------------------------------------------------------------


def test_a_card_tells_the_task(tmp_path: Path) -> None:
    place = tmp_path / "model"
    shutil.copytree(str(folder("feature-extraction")), place)
    for card, want in (
        ("---\npipeline_tag: sentence-similarity\n---\n", "sentence-similarity"),
        ("---\npipeline_tag: text-classification\n---\n", "feature-extraction"),  # of a head that is not there
        ("---\npipeline_tag: mind-reading\n---\n", "feature-extraction"),
        ("---\npipeline_tag: [\n---\n", "feature-extraction"),
        ("no metadata", "feature-extraction"),
    ):
        (place / "README.md").write_text(card)
        assert pipeline(model=str(place)).task == want


@pytest.mark.parametrize(
    ("params", "want"),
    [
        ({"summarization": {"num_beams": 4}}, "summarization"),
        ({"translation_en_to_de": {"prefix": "x"}}, "translation"),
        ({"summarization": {}, "translation_en_to_de": {}}, "text2text-generation"),
        ({"text-generation": {}}, "text2text-generation"),
        (None, "text2text-generation"),
    ],
)
def test_parameters_for_one_task_tell_it(params: Any, want: str) -> None:
    model = small_model("t5", "seq2seq-lm", task_specific_params=params)
    run = pipeline(model=model, tokenizer=embedded("fill-mask").tokenizer)
    assert run.task == want
    if want == "translation":
        assert (run.options.src_lang, run.options.tgt_lang) == ("en", "de")


# --- inputs -------------------------------------------------------------------------------------------------------


def test_columns_and_data_sets() -> None:
    run = embedded("text-classification")
    data = datasets.Dataset.from_dict({"text": TEXTS * 3})
    want = run(TEXTS * 3)
    assert run(data["text"]) == want
    stream = run(KeyDataset(data, "text"), batch_size=4, num_workers=2)
    assert isinstance(stream, Iterator)
    assert list(stream) == want
    assert list(run(row["text"] for row in data)) == want
    iterable = data.to_iterable_dataset()
    assert list(run(iterable["text"])) == want


# --- bars and the log ---------------------------------------------------------------------------------------------


def test_how_much_is_said() -> None:
    logger = logging.getLogger("headway")
    before = logger.level
    try:
        for name in ("debug", "info", "warning", "error"):
            getattr(headway, f"set_verbosity_{name}")()
            assert headway.get_verbosity() == logger.level == getattr(logging, name.upper())
        headway.set_verbosity(logging.INFO)
        assert logger.level == logging.INFO
        with pytest.raises(InputError, match="Did you mean 'info'"):
            headway.set_verbosity("inffo")
    finally:
        logger.setLevel(before)


def test_the_switch_of_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the environment says goes first, and in tests it says no.
    monkeypatch.setattr(sys.modules["huggingface_hub.utils.tqdm"], "HF_HUB_DISABLE_PROGRESS_BARS", None)
    headway.disable_progress_bar()
    assert not headway.is_progress_bar_enabled()
    headway.enable_progress_bar()
    assert headway.is_progress_bar_enabled()


def test_json_of_an_answer_to_numpy_text() -> None:
    answer = embedded("text-classification")(np.array(TEXTS))
    assert json.dumps(list(answer)) == json.dumps(embedded("text-classification")(TEXTS))
