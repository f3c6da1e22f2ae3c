"""Pipelines that look at images: as the oracle's, whatever the images come as."""

from __future__ import annotations

import base64
import io
import json
import os
import threading
from collections.abc import Iterator
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers
from test_pipelines import assert_close
from test_pipelines_generation import byte_tokenizer
from test_pipelines_parity import assert_same

import headway
from headway import InputError, WeightsError, pipeline
from small import one_sentence

Image = pytest.importorskip("PIL.Image")
transformers.logging.set_verbosity_error()

VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 16,
    "patch_size": 4,
}
TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 260,
    "max_position_embeddings": 40,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
}
LABELS = ["cat", "dog", "bird"]


@cache
def images() -> tuple[Any, ...]:
    """Random images of several shapes and modes."""
    drawn = np.random.default_rng(0)
    arrays = [drawn.integers(0, 256, (*shape, 3), np.uint8) for shape in ((20, 30), (16, 16), (40, 9), (20, 30))]
    return (*(Image.fromarray(array) for array in arrays), Image.fromarray(arrays[0]).convert("L"))


def saved(model: Any, processor: Any, *others: Any) -> Path:
    """A folder with a model of the oracle's, every parameter drawn, and all that goes with it."""
    out = Path(mkdtemp(prefix="headway-"))
    torch.manual_seed(1)
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.copy_((tensor.dim() == 1) + 0.3 * torch.randn(tensor.shape))
    for part in (model, processor, *others):
        part.save_pretrained(out)
    return out


@cache
def vit(problem: str | None = None, labels: int = 7) -> Path:
    names = {number: f"L{number}" for number in range(labels)}
    config = transformers.ViTConfig(**VISION, id2label=names, problem_type=problem)
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    return saved(transformers.ViTForImageClassification(config), processor)


@cache
def backbone() -> Path:
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    return saved(transformers.ViTModel(transformers.ViTConfig(**VISION)), processor)


@cache
def towers(kind: str) -> Path:
    """CLIP, which reads the end of a text, or SigLIP, which reads texts padded to their full length."""
    text = dict(TEXT, **({"projection_size": 32} if kind == "Siglip" else {}))
    config = getattr(transformers, f"{kind}Config")(text_config=text, vision_config=VISION)
    processor = getattr(transformers, f"{kind}ImageProcessor")(size={"height": 16, "width": 16}, do_center_crop=False)
    tokenizer = transformers.AutoTokenizer.from_pretrained(byte_tokenizer())
    tokenizer.padding_side = "right"
    out = saved(getattr(transformers, f"{kind}Model")(config), processor, tokenizer)
    if kind == "Siglip":  # as in the files on the hub
        file = out / "tokenizer_config.json"
        file.write_text(
            json.dumps(json.loads(file.read_text()) | {"model_input_names": ["input_ids"], "model_max_length": 40})
        )
    return out


def both(task: str, place: Path, **options: Any) -> tuple[Any, Any]:
    """The pipeline of headway and the oracle's."""
    return (
        pipeline(task, str(place), device="cpu", **options),
        transformers.pipeline(task, str(place), device="cpu", **options),
    )


# --- the tasks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_k": 50}, {"function_to_apply": "sigmoid"}])
@pytest.mark.parametrize("problem", [None, "regression", "multi_label_classification"])
def test_image_classification(options: dict[str, Any], problem: str | None) -> None:
    ours, theirs = both("image-classification", vit(problem))
    given = list(images())
    assert_same(ours(given[0], **options), theirs(given[0], **options))
    assert_same(ours(given, **options), theirs(given, **options))
    assert len(ours(given[0], top_k=None)) == 7


def test_one_label_is_a_probability() -> None:
    ours, theirs = both("image-classification", vit(None, 1))
    assert_same(ours(images()[0]), theirs(images()[0]))


@pytest.mark.parametrize("pool", [True, False])
def test_image_features(pool: bool) -> None:
    ours, theirs = both("image-feature-extraction", backbone())
    given = list(images())
    assert_same(ours(given[0], pool=pool), theirs(given[0], pool=pool))
    assert_same(ours(given, pool=pool), theirs(given, pool=pool))
    tensor = ours(given[0], pool=pool, return_tensors=True)
    torch.testing.assert_close(tensor, theirs(given[0], pool=pool, return_tensors=True), atol=1e-4, rtol=1e-4)
    settings = {"do_normalize": False}
    mine, yours = (run(given[0], image_processor_kwargs=settings) for run in (ours, theirs))
    assert_same(mine, yours)
    with pytest.raises(InputError, match="Did you mean 'do_normalize'"):
        ours(given[0], image_processor_kwargs={"do_normalise": False})


@pytest.mark.parametrize("kind", ["CLIP", "Siglip"])
@pytest.mark.parametrize("template", [{}, {"hypothesis_template": "{} it is"}])
def test_zero_shot_image_classification(kind: str, template: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = both("zero-shot-image-classification", towers(kind))
    if kind == "Siglip":  # the oracle fills up to 64 tokens, whatever the model takes
        theirs.tokenizer.model_input_names = ["input_ids"]
        monkeypatch.setattr(theirs, "preprocess", padded_to(theirs.preprocess, 40))
    given = list(images())
    for labels in (LABELS, LABELS[:1], ["a dog in the grass", "x"]):
        assert_same(ours(given[0], labels, **template), theirs(given[0], candidate_labels=labels, **template))
    found = ours(given, candidate_labels=LABELS, **template)
    assert_same(found, theirs(given, candidate_labels=LABELS, **template))
    total = sum(row["score"] for row in found[0])
    assert (total == pytest.approx(1, abs=1e-5)) == (kind == "CLIP")
    assert ours(given, ", ".join(LABELS), **template) == found
    assert ours([], LABELS) == []


def padded_to(preprocess: Any, width: int) -> Any:
    return lambda image, **given: preprocess(image, **given, tokenizer_kwargs={"max_length": width})


def test_what_zero_shot_image_classification_refuses() -> None:
    run = pipeline("zero-shot-image-classification", str(towers("CLIP")))
    with pytest.raises(InputError, match="needs candidate_labels"):
        run(images()[0])
    with pytest.raises(InputError, match=r"has no \{\}"):
        run(images()[0], ["a"], hypothesis_template="x")
    with pytest.raises(InputError, match=r"tokens with its sentence, but the model takes 40.*'dog dog") as caught:
        run(images()[0], ["dog " * 20, "cat"])
    one_sentence(caught.value)


def test_a_pooler_that_the_checkpoint_lacks_is_not_used() -> None:
    run = pipeline("image-feature-extraction", str(vit()))
    assert run(images()[0])
    with pytest.raises(WeightsError, match="no trained pooler") as caught:
        run(images()[0], pool=True)
    one_sentence(caught.value)


def test_features_of_the_images_of_two_towers() -> None:
    run = pipeline("image-feature-extraction", str(towers("CLIP")))
    model = headway.AutoModelForZeroShotImageClassification.from_pretrained(towers("CLIP"))
    pixels = run.image_processor(images()[0]).pixel_values
    want = model.get_image_features(pixels).last_hidden_state
    torch.testing.assert_close(run(images()[0], return_tensors=True), want.detach(), atol=1e-5, rtol=1e-5)


def test_the_task_is_told() -> None:
    assert pipeline(model=str(vit())).task == "image-classification"
    assert pipeline(model=str(backbone())).task == "image-feature-extraction"
    assert pipeline(model=str(towers("CLIP"))).task == "zero-shot-image-classification"
    model = headway.AutoModelForImageClassification.from_pretrained(vit())
    made = pipeline(model=model, image_processor=str(vit()))
    assert_close(made(images()[0]), pipeline(model=model)(images()[0]))
    model.config.name_or_path = ""
    with pytest.raises(InputError, match="pass its image_processor too"):
        pipeline(model=model)


# --- inputs -------------------------------------------------------------------------------------------------------


def png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


def test_images_come_in_any_form(tmp_path: Path) -> None:
    run = pipeline("image-classification", str(vit()))
    image = images()[0]
    (tmp_path / "x.png").write_bytes(png(image))
    text = base64.b64encode(png(image)).decode()
    forms = [tmp_path / "x.png", str(tmp_path / "x.png"), png(image), text, f"data:image/png;base64,{text}"]
    array = np.asarray(image)
    forms += [array, array.transpose(2, 0, 1), torch.from_numpy(array.copy())]
    want = run(image)
    for form in forms:
        assert run(form) == want
    assert run(forms) == [want] * len(forms)


def test_photos_are_turned_the_right_way_up() -> None:
    file, image = io.BytesIO(), images()[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(file, "png", exif=exif)
    run = pipeline("image-classification", str(vit()))
    upright = run(image.transpose(Image.Transpose.ROTATE_270))
    assert run(file.getvalue()) == upright != run(image)
    assert run(Image.open(io.BytesIO(file.getvalue()))) == upright


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/x.png"
        data = png(images()[0]) if found else b"no"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_images_from_the_web(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = pipeline("image-classification", str(vit()))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    assert run(f"{site}/x.png", timeout=5.0) == run(images()[0])
    with pytest.raises(InputError, match="answered 404") as caught:
        run(f"{site}/y.png")
    one_sentence(caught.value)
    with pytest.raises(InputError, match="cannot be fetched"):
        run("http://127.0.0.1:9/x.png")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        run(f"{site}/x.png")


@pytest.mark.parametrize("given", ["nothing.png", "data:image/png;base64,AAAA", b"no image", "A" * 400, 3.5, {"a": 1}])
def test_what_is_no_image_is_refused(given: Any) -> None:
    run = pipeline("image-classification", str(vit()))
    with pytest.raises(InputError) as caught:
        run(given)
    one_sentence(caught.value)


@pytest.mark.parametrize("options", [{}, {"batch_size": 1}, {"batch_size": 3}])
def test_answers_do_not_depend_on_the_batch_and_come_in_order(options: dict[str, Any]) -> None:
    run = pipeline("image-classification", str(vit()))
    # Of two sizes, so that two batches wait at once.
    resize = run.image_processor.size
    given = [image for image in images() for _ in range(3)]
    assert resize == {"height": 16, "width": 16}
    together = run(given, **options)
    assert_close(together, [run(image) for image in given])
    stream = run(iter(given), **options)
    assert isinstance(stream, Iterator)
    assert_close(list(stream), together)


def test_images_of_several_sizes_run_in_batches_of_one() -> None:
    class Outlines(headway.pipelines.ImagePipeline):
        def look(self, pixels: Any) -> Any:
            shapes.append(tuple(pixels.shape))
            return pixels.flatten(1).mean(1, keepdim=True)

        def select(self, output: Any, options: Any) -> Any:
            return output

        def answer(self, output: Any, options: Any) -> float:
            return float(output[0])

    shapes: list[tuple[int, ...]] = []
    model = headway.AutoModelForImageClassification.from_pretrained(vit())
    processor = headway.ImageProcessor(do_resize=False)
    run = Outlines(model, image_processor=processor, batch_size=2)
    found = run(list(images()))
    assert sorted(shapes) == [(1, 3, 16, 16), (1, 3, 20, 30), (1, 3, 40, 9), (2, 3, 20, 30)]
    assert found == pytest.approx([float(processor(image).pixel_values.mean()) for image in images()], abs=1e-5)
