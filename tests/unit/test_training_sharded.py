"""Two processes that each hold a share of the model train it as one alone does, and leave the same files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from fitting import arguments, rows_for, trainer_for
from headway import AutoModelForSequenceClassification, InputError, LoraConfig, add_adapter
from headway.cli.convert import convert_checkpoint
from headway.training.trainer import Trainer
from processes import run_two
from small import small_model

# Arguments of trainings; "model" is the family, where it is not a BERT.
OPTIONS: dict[str, dict[str, Any]] = {
    "adamw": {"max_grad_norm": 0.05, "weight_decay": 0.1, "adam_epsilon": 1e-4},
    "passes": {"optim": "sgd", "gradient_accumulation_steps": 2, "per_device_train_batch_size": 1, "model": "albert"},
    # Llama has no bias of keys, whose gradient is rounding alone, of which this optimizer makes whole steps.
    "recomputed": {
        "optim": "lion",
        "learning_rate": 1e-3,
        "gradient_checkpointing": True,
        "fsdp": "shard_grad_op",
        "model": "llama",
    },
    "adapter": {"adapter": True, "adam_epsilon": 1e-4},
    "files": {
        "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"},
        "adam_epsilon": 1e-4,
        "save_total_limit": 2,
        "eval_strategy": "steps",
        "eval_steps": 3,
        "load_best_model_at_end": True,
    },
}


def trainer(folder: Path, world: int, **options: Any) -> Trainer:
    """Nine rows in steps of four, the last of which has one row: one process of two has none of it."""
    model = small_model(options.pop("model", "bert"), "sequence-classification")
    for module in model.modules():
        if hasattr(module, "dropout"):
            module.dropout = 0.0
    if options.pop("adapter", False):
        torch.manual_seed(3)
        model.quantize("int8")
        add_adapter(model, LoraConfig(r=2, use_dora=True, modules_to_save=["classifier"]))
    size = options.pop("per_device_train_batch_size", 2) * 2 // world
    data = {"train_dataset": rows_for(9), "eval_dataset": rows_for(9)}
    common = {"save_strategy": "steps", "save_steps": 3, "logging_steps": 1, "fsdp": "full_shard auto_wrap"}
    return trainer_for(folder, model, **data, **{**common, "per_device_train_batch_size": size, **options})


def results(made: Trainer, folder: Path) -> dict[str, torch.Tensor]:
    """Losses, norms and, by way of the files, the weights of a training that is done."""
    made.save_model(folder)
    found = {f"loss {log['step']}": log["loss"] for log in made.state.log_history if "loss" in log}
    found |= {f"norm {log['step']}": log["grad_norm"] for log in made.state.log_history if "loss" in log}
    found["eval loss"] = made.evaluate()["eval_loss"]
    numbers = {name: torch.tensor(value) for name, value in found.items()}
    predictions = {"predictions": torch.from_numpy(made.predict(rows_for(7)).predictions)}
    return numbers | predictions | load_file(next(folder.glob("*.safetensors")))


def worker(folder: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    for name, options in OPTIONS.items():
        made = trainer(folder / name, 2, **options)
        made.train()
        held = sum(parameter.to_local().numel() for parameter in made.model.parameters())
        assert held < 0.6 * sum(parameter.numel() for parameter in made.model.parameters())
        torch.save(results(made, folder / name / "saved"), folder / f"{name}-{rank}.pt")
    for start, options in (("alone", OPTIONS["adamw"]), ("files", OPTIONS["files"])):
        made = trainer(folder / start, 2, **options)
        made.train(resume_from_checkpoint=folder / start / "checkpoint-3")
        torch.save(results(made, folder / start / "saved"), folder / f"{start}-resumed-{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what one process made, under ``alone``, and what two made."""
    folder = tmp_path_factory.mktemp("processes")
    made = trainer(folder / "alone", 1, **OPTIONS["adamw"])
    made.train()
    torch.save(results(made, folder / "alone" / "saved"), folder / "alone.pt")
    run_two(__file__, folder, PYTHONWARNINGS="error::UserWarning")
    return folder


def same(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6, msg=name)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_shares_train_as_the_whole_does(name: str, processes: Path, tmp_path: Path) -> None:
    alone = trainer(tmp_path, 1, **OPTIONS[name])
    alone.train()
    expected = results(alone, tmp_path / "saved")
    for rank in range(2):
        same(torch.load(processes / f"{name}-{rank}.pt"), expected)
    for config in (tmp_path / "saved").glob("*.json"):
        assert (processes / name / "saved" / config.name).read_text() == config.read_text()


@pytest.mark.parametrize(("start", "name"), [("alone", "adamw"), ("files", "files")])
def test_two_processes_go_on(start: str, name: str, processes: Path) -> None:
    """From where one was, and from where each wrote its share."""
    for rank in range(2):
        same(torch.load(processes / f"{start}-resumed-{rank}.pt"), torch.load(processes / f"{name}-0.pt"))


@pytest.mark.parametrize("name", ["adamw", "files"])
def test_one_process_goes_on_where_two_were(name: str, processes: Path, tmp_path: Path) -> None:
    made = trainer(shutil.copytree(processes / name, tmp_path / "run"), 1, **OPTIONS[name])
    made.train(resume_from_checkpoint=tmp_path / "run" / "checkpoint-3")
    same(results(made, tmp_path / "saved"), torch.load(processes / f"{name}-0.pt"))


def test_shares_become_a_checkpoint_like_any_other(processes: Path, tmp_path: Path) -> None:
    checkpoint = processes / "files" / "checkpoint-6"
    assert not list(checkpoint.glob("model*.safetensors"))
    assert len(list((checkpoint / "shares").iterdir())) == 2
    convert_checkpoint(str(checkpoint), tmp_path / "whole")
    found = load_file(tmp_path / "whole" / "model.safetensors")
    made = torch.load(processes / "files-0.pt")
    assert found
    same(found, {name: made[name] for name in found})
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "whole").load_report.new == ()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fsdp": "full_shart"}, "full_shard"),
        ({"fsdp": "hybrid_shard"}, "share one model"),
        ({"fsdp": ["full_shard", "offload"]}, "stay on the device"),
        ({"fsdp": True, "fsdp_config": {"reshard_after_foward": True}}, "reshard_after_forward"),
        ({"fsdp": True, "fsdp_config": {"fsdp_state_dict_type": "LOCAL_STATE_DICT"}}, "whole tensors"),
        ({"fsdp": True, "fsdp_config": "none.json"}, "none.json"),
        ({"fsdp": True, "optim": "muon"}, "whole parameters"),
    ],
)
def test_what_cannot_be_had_is_said(options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=says):
        arguments(tmp_path, **options)


def test_spellings_of_sharding(tmp_path: Path) -> None:
    assert arguments(tmp_path).sharding is None
    assert arguments(tmp_path, fsdp="").sharding is None
    for given in (True, "full_shard auto_wrap", ["full_shard", "auto_wrap"]):
        assert arguments(tmp_path, fsdp=given).sharding is True
    assert arguments(tmp_path, fsdp="shard_grad_op").sharding is False
    config = {"fsdp_reshard_after_forward": False, "activation_checkpointing": True, "version": 2}
    made = arguments(tmp_path, fsdp=True, fsdp_config=config)
    assert made.sharding is False
    assert made.gradient_checkpointing
