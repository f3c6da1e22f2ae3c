"""Texts and images compared: features, padded texts, and a tower on its own from a file of both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import headway
from headway.config import PreTrainedConfig
from headway.models.assemble import model_class
from headway.models.plan import BASE
from parity.compare import assert_close, distance
from parity.inputs import collate, make_rows
from parity.matrix import every_cell
from parity.oracle import Cell, Pair, pair
from parity.test_gradients import compare_gradients

SIDES = pytest.mark.parametrize("side", ["right", "left"])
towers = every_cell(lambda cell: cell.compares and cell.has_loss)
plain = every_cell(lambda cell: cell.compares and cell.task == BASE and cell.variant == "plain")


@towers
@torch.no_grad()
def test_features(cell: Cell) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    asked: dict[str, Any] = {"output_hidden_states": True, "output_attentions": True}
    ids, pixels = inputs["input_ids"], inputs["pixel_values"]
    assert_close(both.ours.get_text_features(ids, **asked), both.theirs.get_text_features(ids, **asked))
    given = {"pixel_values": pixels, **cell.setting.call, **asked}
    assert_close(both.ours.get_image_features(**given), both.theirs.get_image_features(**given))


def logits_of_rows(both: Pair, rows: list[dict[str, Any]]) -> torch.Tensor:
    """The oracle's logits of each text alone with all images."""
    pixels = torch.stack([row["pixel_values"] for row in rows])
    return torch.cat(
        [
            both.oracle(input_ids=row["input_ids"][None], pixel_values=pixels, **both.cell.setting.call).logits_per_text
            for row in rows
        ]
    )


@SIDES
@towers
def test_padded_texts(cell: Cell, side: str) -> None:
    """Logits, loss and gradients are those of each text alone, whatever the padding."""
    both, rows = pair(cell), make_rows(cell, ragged=True)
    ours = both.ours(**collate(rows, side), **cell.call)
    theirs = logits_of_rows(both, rows)
    assert_close(ours.logits_per_text, theirs)
    assert torch.equal(ours.logits_per_image, ours.logits_per_text.t())
    assert isinstance(ours.to_tuple()[-1], tuple), "outputs within are tuples too"
    loss = both.ours.head.loss(theirs)
    assert distance(ours.loss.detach(), loss.detach()) < 3e-5
    ours.loss.backward()
    loss.backward()
    compare_gradients(both)


@plain
def test_one_class_under_both_names(cell: Cell) -> None:
    folder = pair(cell).folder
    kinds = {type(auto.from_pretrained(folder)) for auto in (headway.AutoModel, ZERO_SHOT)}
    assert kinds == {model_class(cell.model_type, "zero-shot-image-classification")}


ZERO_SHOT = headway.AutoModelForZeroShotImageClassification


@plain
@pytest.mark.parametrize("tower", ["text", "vision"])
@torch.no_grad()
def test_a_tower_of_a_file_of_both(cell: Cell, tower: str) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    name = "input_ids" if tower == "text" else "pixel_values"
    kind = model_class(f"{cell.model_type}_{tower}_model", BASE)
    model = kind.from_pretrained(both.folder)
    assert not model.load_report.new
    assert type(model.config) is kind.config_class
    theirs = getattr(both.theirs, f"{tower}_model")(inputs[name])
    assert_close(model(inputs[name]), theirs)


@pytest.mark.parametrize("tower", ["text", "vision"])
@pytest.mark.parametrize("family", ["clip", "siglip"])
@torch.no_grad()
def test_older_files_of_a_tower(family: str, tower: str, tmp_path: Path) -> None:
    """They hold the tower under a name, and the numbers of its positions."""
    cell = Cell(f"{family}_{tower}_model", BASE)
    both, inputs = pair(cell), collate(make_rows(cell))
    tensors = {f"{tower}_model.{name}": tensor for name, tensor in load_file(both.folder / "model.safetensors").items()}
    tensors[f"{tower}_model.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((both.folder / "config.json").read_text())
    model = type(both.ours).from_pretrained(tmp_path)
    assert model.load_report.clean, str(model.load_report)
    assert_close(model(**inputs), both.oracle(**inputs))


@plain
@torch.no_grad()
def test_older_files_of_both(cell: Cell, tmp_path: Path) -> None:
    both, inputs = pair(cell), collate(make_rows(cell))
    tensors = load_file(both.folder / "model.safetensors")
    tensors |= {f"{tower}_model.embeddings.position_ids": torch.arange(9)[None] for tower in ("text", "vision")}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((both.folder / "config.json").read_text())
    model = type(both.ours).from_pretrained(tmp_path)
    assert model.load_report.clean, str(model.load_report)
    assert_close(model(**inputs), both.oracle(**inputs))


def test_nested_configs(tmp_path: Path) -> None:
    config = headway.CLIPConfig(text_config={"hidden_size": 64, "my_key": 1}, vision_config=None, num_labels=3)
    assert type(config.text_config) is headway.CLIPTextConfig
    assert (config.text_config.hidden_size, config.text_config.my_key, config.num_labels) == (64, 1, 3)
    assert config.vision_config == headway.CLIPVisionConfig()
    assert config.get_text_config() is config.text_config
    config.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["text_config"]["model_type"] == "clip_text_model"
    assert headway.AutoConfig.from_pretrained(tmp_path) == config
    assert headway.CLIPTextConfig.from_pretrained(tmp_path).hidden_size == 64
    one, other = headway.CLIPConfig(), headway.CLIPConfig()
    one.text_config.hidden_size = 8
    assert other.text_config.hidden_size == 512, "each config has its own parts"
    with pytest.raises(headway.ConfigError, match="text_config must hold the fields of a CLIPTextConfig"):
        headway.CLIPConfig(text_config=3)
    assert isinstance(PreTrainedConfig().get_text_config(), PreTrainedConfig)


@plain
@torch.no_grad()
def test_what_is_missing_is_said(cell: Cell) -> None:
    model, inputs = pair(cell).ours, collate(make_rows(cell))
    for name in ("input_ids", "pixel_values"):
        with pytest.raises(headway.InputError, match="needs input_ids and pixel_values"):
            model(**{name: inputs[name]})
    with pytest.raises(headway.InputError, match="3 texts and 2 images"):
        model(inputs["input_ids"], inputs["pixel_values"][:2], return_loss=True)
    with pytest.raises(headway.InputError, match=r"takes no argument 'pixel_value'.*pixel_values"):
        model(**inputs, pixel_value=1)


@torch.no_grad()
def test_a_text_without_its_end() -> None:
    cell = Cell("clip_text_model", "projection", "end")
    model, inputs = pair(cell).ours, collate(make_rows(cell))
    inputs["input_ids"][1, -1] = 8
    with pytest.raises(headway.InputError, match="Row 1 of input_ids has no token 7"):
        model(**inputs)
    with pytest.raises(headway.InputError, match="needs input_ids"):
        model(inputs_embeds=torch.zeros(1, 3, 32))
