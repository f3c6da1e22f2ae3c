"""Image processors: files in every form, and the same pixels as transformers'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headway import AutoImageProcessor
from headway.errors import CheckpointError, ConfigError, InputError

Image = pytest.importorskip("PIL.Image")

KINDS = ("ViT", "DeiT", "Beit", "Bit", "CLIP", "Siglip")
SHAPES = ((50, 70), (300, 200), (224, 224), (31, 400))


def images(mode: str = "RGB") -> list[Any]:
    """Random images of several shapes."""
    drawn = np.random.default_rng(0)
    return [Image.fromarray(drawn.integers(0, 256, (*shape, 3), np.uint8)).convert(mode) for shape in SHAPES]


def theirs(kind: str) -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    return getattr(transformers, f"{kind}ImageProcessor")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("changes", [{}, {"do_normalize": False}, {"resample": 0}, {"do_rescale": False}])
def test_pixels_are_those_of_transformers(kind: str, changes: dict[str, Any], tmp_path: Path) -> None:
    peer = theirs(kind)(**changes)
    peer.save_pretrained(tmp_path)
    ours = AutoImageProcessor.from_pretrained(tmp_path)
    for image in images():
        found, expected = ours(image).pixel_values, peer(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


# Files as they lie on the hub, of the years before sizes were dictionaries, and what transformers makes of them.
FILES: dict[str, dict[str, Any]] = {
    "ViT": {"feature_extractor_type": "ViTFeatureExtractor", "size": 32, "resample": 2, "image_mean": [0.5] * 3},
    "CLIP": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": 40,
        "do_center_crop": True,
        "crop_size": 32,
        "resample": 3,
        "image_mean": [0.48, 0.46, 0.41],
        "image_std": [0.27, 0.26, 0.28],
    },
    "DeiT": {
        "feature_extractor_type": "DeiTFeatureExtractor",
        "size": 40,
        "do_center_crop": True,
        "crop_size": 32,
        "resample": 3,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    },
    "Siglip": {"image_processor_type": "SiglipImageProcessor", "size": {"height": 32, "width": 24}, "resample": 3},
    "Bit": {
        "image_processor_type": "BitImageProcessor",
        "size": {"shortest_edge": 40},
        "crop_size": {"height": 32, "width": 24},
        "do_center_crop": True,
        "resample": 3,
        "image_mean": [0.5] * 3,
        "image_std": [0.5] * 3,
    },
}


@pytest.mark.parametrize("kind", FILES)
def test_quirk_41_each_spelling_of_sizes(kind: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(FILES[kind]))
    ours, peer = AutoImageProcessor.from_pretrained(tmp_path), theirs(kind).from_pretrained(tmp_path)
    for image in images():
        found, expected = ours(image).pixel_values, peer(image, return_tensors="pt")["pixel_values"]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    ours.save_pretrained(tmp_path / "again")
    again = AutoImageProcessor.from_pretrained(tmp_path / "again")
    assert again.settings == FILES[kind]
    assert torch.equal(again(images()).pixel_values, ours(images()).pixel_values)


def test_quirk_41_settings_within_those_of_a_processor(tmp_path: Path) -> None:
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": {"size": [8, 6]}}))
    assert AutoImageProcessor.from_pretrained(tmp_path)(images()).pixel_values.shape == (4, 3, 8, 6)


def test_what_counts_as_an_image(tmp_path: Path) -> None:
    processor, image = AutoImageProcessor(size=16), images()[0]
    expected = processor(image).pixel_values
    image.save(tmp_path / "image.png")
    array = np.asarray(image)
    for given in (tmp_path / "image.png", str(tmp_path / "image.png"), array, torch.from_numpy(array.copy())):
        assert torch.equal(processor(given).pixel_values, expected)
    assert torch.equal(processor(array.transpose(2, 0, 1)).pixel_values, expected)
    assert isinstance(processor([image], return_tensors="np")["pixel_values"], np.ndarray)
    grey = AutoImageProcessor(size=8, image_mean=[0.5], image_std=[0.5])
    assert grey(array).pixel_values.shape == (1, 1, 8, 8)
    assert processor(images("L")[0]).to("cpu").pixel_values.shape == (1, 3, 16, 16)


def test_images_go_into_a_model(tmp_path: Path) -> None:
    from small import small_model

    model = small_model("vit", "image-classification")
    model.save_pretrained(tmp_path)
    AutoImageProcessor(size=8).save_pretrained(tmp_path)
    inputs = AutoImageProcessor.from_pretrained(tmp_path)(images())
    assert model(**inputs).logits.shape == (4, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: AutoImageProcessor(size="big"), ConfigError, "size of the image processor is 'big'"),
        (lambda: AutoImageProcessor()([]), InputError, "There is no image"),
        (lambda: AutoImageProcessor()(images(), return_tensors="tf"), InputError, "use 'pt' or 'np'"),
        (lambda: AutoImageProcessor()(np.zeros((3, 3))), InputError, "got float64 of shape [3, 3]"),
        (lambda: AutoImageProcessor()("nowhere.png"), InputError, "'nowhere.png' cannot be read as an image"),
    ],
)
def test_what_is_no_image(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as found:
        call()
    assert message in str(found.value)


def test_a_checkpoint_without_settings(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no preprocessor_config\.json"):
        AutoImageProcessor.from_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text("{}")
    with pytest.raises(InputError, match="Did you mean 'do_resize'"):
        AutoImageProcessor.from_pretrained(tmp_path, do_rezise=True)
