"""What headway saves, transformers loads, key for key; and saving is reproducible to the byte."""

from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file

from headway.models.assemble import model_class
from parity.compare import assert_close
from parity.inputs import collate, make_rows
from parity.matrix import every_cell
from parity.oracle import Cell, oracle_class, pair

WEIGHTS = "model.safetensors"


@every_cell()
def test_same_keys_and_tensors_as_the_oracle_writes(cell: Cell, tmp_path: Path) -> None:
    both = pair(cell)
    both.ours.save_pretrained(tmp_path)
    saved = load_file(tmp_path / WEIGHTS)
    assert {*saved} == {*both.stored} - both.unread
    assert all(torch.equal(tensor, both.stored[name]) for name, tensor in saved.items())


@every_cell()
@torch.no_grad()
def test_transformers_loads_it(cell: Cell, tmp_path: Path) -> None:
    both, inputs = pair(cell), collate(make_rows(cell)) | cell.call
    both.ours.save_pretrained(tmp_path)
    kind = getattr(transformers, oracle_class(cell))
    model, info = kind.from_pretrained(tmp_path, output_loading_info=True, attn_implementation="eager")
    assert info.pop("missing_keys") == both.unread
    assert not any(info.values()), info
    assert_close(both.ours(**inputs), model.eval()(**inputs))


@every_cell()
def test_the_same_bytes_again(cell: Cell, tmp_path: Path) -> None:
    both, folders = pair(cell), [tmp_path / name for name in "abc"]
    both.ours.save_pretrained(folders[0])
    both.ours.save_pretrained(folders[1])
    again = model_class(cell.model_type, cell.task).from_pretrained(folders[0])
    assert again.load_report.clean
    again.save_pretrained(folders[2])
    for name in (WEIGHTS, "config.json"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1, name
