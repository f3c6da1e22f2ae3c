"""``Trainer``: what goes in, what comes out, what is overridden, and what is refused."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitting import arguments, pad, rows_for, trainer_for
from headway import InputError, NonFiniteError
from headway.training.arguments import Seq2SeqTrainingArguments
from headway.training.callbacks import EVENTS, TrainerCallback
from headway.training.metrics import Accuracy
from headway.training.order import Order, Split
from headway.training.seq2seq import Seq2SeqTrainer
from headway.training.state import EvalPrediction
from headway.training.trainer import Trainer
from small import one_sentence, same_state, small_model, writer


def still(**values: Any) -> Any:
    """A small BERT without dropout."""
    return small_model(
        "bert", "sequence-classification", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **values
    )


def test_it_learns(tmp_path: Path) -> None:
    trainer = trainer_for(
        tmp_path, eval_dataset=rows_for(), num_train_epochs=15, learning_rate=1e-2, compute_metrics=Accuracy()
    )
    output = trainer.train()
    metrics = trainer.evaluate()
    assert output.global_step == 90
    assert metrics["eval_accuracy"] > 0.9
    assert set(metrics) == {
        *("eval_accuracy", "eval_loss", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second")
    }
    assert set(output.metrics) >= {"train_loss", "train_runtime", "epoch"}


def test_it_is_the_loop_that_one_would_write(tmp_path: Path) -> None:
    """AdamW by hand over the same rows in the same order."""
    trainer = trainer_for(tmp_path, still(), logging_steps=1, weight_decay=0.01, warmup_steps=2)
    trainer.train()
    model, rows = still(), rows_for()
    decayed = [p for name, p in model.named_parameters() if p.dim() > 1 and not name.endswith("bias")]
    rest = [p for p in model.parameters() if not any(p is other for other in decayed)]
    model.train()
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}], lr=5e-3
    )
    order, step, losses = Order(len(rows), Split(4), 42), 0, []
    for epoch in range(2):
        order.go_to(epoch)
        for chosen in order.steps():
            rate = 5e-3 * (step / 2 if step < 2 else (12 - step) / 10)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = model(**pad([rows[row] for row in chosen])).loss
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            step += 1
    assert [entry["loss"] for entry in trainer.state.log_history[:-1]] == pytest.approx(losses, rel=1e-5)
    for (name, one), other in zip(model.named_parameters(), trainer.model.parameters(), strict=True):
        if not name.endswith("attn.k.bias"):  # moves no logit, so that its gradient is noise, which Adam makes large
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


# --- data ----------------------------------------------------------------------------------------------------------


def test_data_sets_of_all_kinds_are_the_same(tmp_path: Path) -> None:
    rows = rows_for()

    class Mapped(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, row: int) -> Any:
            return rows[row]

    table = datasets.Dataset.from_list([{**row, "text": "words"} for row in rows])
    trained = []
    for number, data in enumerate((rows, Mapped(), table)):
        trainer = trainer_for(tmp_path / str(number), still(), train_dataset=data)
        trainer.train()
        trained.append(trainer.model)
    assert table.column_names == ["input_ids", "labels", "text"]
    assert same_state(trained[0], trained[1])
    assert same_state(trained[0], trained[2])


def test_unused_columns_are_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{**row, "text": "a", "id": 3} for row in rows_for()]
    trainer = trainer_for(tmp_path, train_dataset=rows, eval_dataset=rows)
    config = trainer.model.config.to_json_string()
    with caplog.at_level(logging.INFO, "headway"):
        trainer.train()
        trainer.evaluate()
    assert [record.getMessage() for record in caplog.records] == [
        "The model takes no text, id, so these columns are left out."
    ]
    assert trainer.model.config.to_json_string() == config
    assert rows[0].keys() == {"input_ids", "labels", "text", "id"}
    with pytest.raises(InputError, match="tokenize the data set first") as error:
        trainer_for(tmp_path, train_dataset=[{"text": "a"}]).train()
    one_sentence(error.value)


def test_an_order_is_the_same_however_it_is_split() -> None:
    lengths = [row * 7 % 11 for row in range(37)]
    whole = Order(37, Split(8), 1, lengths)
    for split in (Split(2, 4), Split(1, 2, world=4), Split(4, 1, world=2)):
        parts = [Order(37, replace(split, rank=rank), 1, lengths) for rank in range(split.world)]
        assert len({len(part) for part in parts}) == 1
        assert all(len(list(part)) == len(part) for part in parts)
        assert [set(step) for step in parts[0].steps()] == [set(step) for step in whole.steps()]
        assert sorted(row for part in parts for place in part for row in place.rows) == list(range(37))


def test_an_order_begins_anywhere() -> None:
    order = Order(37, Split(2, 4), 1)
    order.go_to(3)
    whole = list(order)
    order.go_to(3, 2)
    assert list(order) == whole[8:]
    order.go_to(4)
    assert list(order) != whole


def test_grouped_rows_are_of_about_one_length() -> None:
    lengths = torch.randint(1, 100, (400,), generator=torch.Generator().manual_seed(0)).tolist()

    def padding(grouped: bool) -> int:
        order = Order(400, Split(8), 1, lengths, grouped)
        assert sorted(row for step in order.steps() for row in step) == list(range(400))
        return sum(max(lengths[row] for row in step) * len(step) for step in order.steps()) - sum(lengths)

    assert padding(True) < padding(False) / 10


def test_rows_that_do_not_fill_a_pass_can_be_left_out(tmp_path: Path) -> None:
    assert trainer_for(tmp_path, num_train_epochs=1).train().global_step == 6
    assert trainer_for(tmp_path, num_train_epochs=1, dataloader_drop_last=True).train().global_step == 5


# --- losses of one's own -------------------------------------------------------------------------------------------


def cross_entropy(outputs: Any, labels: torch.Tensor, num_items_in_batch: int) -> torch.Tensor:
    return F.cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch


class Overridden(Trainer):
    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = F.cross_entropy(outputs.logits, labels)
        return (loss, outputs) if return_outputs else loss


class Tripled(Trainer):
    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        loss, outputs = super().compute_loss(model, inputs, True, **kwargs)
        return (loss, outputs) if return_outputs else loss


@pytest.mark.parametrize("passes", [1, 4])
def test_losses_of_ones_own_are_exact_too(passes: int, tmp_path: Path) -> None:
    """Twenty-two rows: the last step of an epoch is a ragged one."""
    plain = {"optim": "sgd", "learning_rate": 0.1}
    options = {**plain, "gradient_accumulation_steps": passes, "per_device_train_batch_size": 4 // passes}
    expected = trainer_for(tmp_path, still(), **plain)
    expected.train()
    args = arguments(tmp_path, **options)
    common: dict[str, Any] = {"train_dataset": rows_for(), "data_collator": pad}
    for trainer in (
        Trainer(still(), args, compute_loss_func=cross_entropy, **common),
        Overridden(still(), args, **common),
        Tripled(still(), args, **common),
    ):
        trainer.train()
        assert trainer.state.log_history[0]["loss"] == pytest.approx(expected.state.log_history[0]["loss"], rel=1e-5)
        for one, other in zip(trainer.model.parameters(), expected.model.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


# --- evaluation ----------------------------------------------------------------------------------------------------


def test_predictions_are_in_the_order_of_the_rows(tmp_path: Path) -> None:
    trainer, rows = trainer_for(tmp_path, compute_metrics=lambda given: {"rows": len(given.predictions)}), rows_for(11)
    output = trainer.predict(rows)
    trainer.model.eval()
    alone = torch.cat([trainer.model(**{k: v for k, v in pad([row]).items() if k != "labels"}).logits for row in rows])
    np.testing.assert_allclose(output.predictions, alone.detach().numpy(), atol=1e-5)
    assert output.label_ids.tolist() == [row["labels"] for row in rows]
    assert output.metrics is not None
    assert output.metrics["test_rows"] == 11


def test_the_loss_of_an_evaluation_is_that_of_all_labels(tmp_path: Path) -> None:
    rows = [{"input_ids": row["input_ids"], "labels": [-100, *row["input_ids"][1:]]} for row in rows_for(9)]
    trainer = trainer_for(tmp_path, small_model("bert", "masked-lm"), eval_dataset=rows)
    with torch.no_grad():
        whole = trainer.model(**pad(rows)).loss.item()
    assert trainer.evaluate()["eval_loss"] == pytest.approx(whole, rel=1e-5)


def test_rows_of_other_lengths_are_filled(tmp_path: Path) -> None:
    rows = [{"input_ids": row["input_ids"], "labels": row["input_ids"]} for row in rows_for(9)]
    seen: list[EvalPrediction] = []

    def compute(given: EvalPrediction) -> dict[str, float]:
        seen.append(given)
        predictions, labels = given
        return {"right": float((predictions == labels)[labels != -100].mean())}

    trainer = trainer_for(tmp_path, small_model("bert", "masked-lm"), eval_dataset=rows, compute_metrics=compute)
    trainer.preprocess_logits_for_metrics = lambda logits, labels: logits.argmax(-1)
    trainer.evaluate()
    width = max(len(row["input_ids"]) for row in rows)
    assert seen[0].predictions.shape == seen[0].label_ids.shape == (9, width)
    assert (seen[0].predictions[:, -1] == -100).any()


def test_metrics_that_count_keep_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is alive while batches are counted does not grow with their number."""
    import gc

    alive: list[int] = []

    class Counting(Accuracy):
        def add(self, predictions: Any, references: Any) -> None:
            super().add(predictions, references)
            alive.append(sum(isinstance(one, np.ndarray) and one.shape == (8, 2) for one in gc.get_objects()))

    trainer = trainer_for(tmp_path, eval_dataset=rows_for(80), compute_metrics=Counting())
    first, second = trainer.evaluate(), trainer.evaluate()
    assert first["eval_accuracy"] == second["eval_accuracy"]
    assert len(alive) == 20
    assert max(alive) <= 1


def test_metrics_batch_by_batch(tmp_path: Path) -> None:
    calls: list[bool] = []

    def compute(given: EvalPrediction, compute_result: bool) -> dict[str, float]:
        calls.append(compute_result)
        return {"batches": len(calls)} if compute_result else {}

    trainer = trainer_for(tmp_path, eval_dataset=rows_for(20), compute_metrics=compute, batch_eval_metrics=True)
    assert trainer.evaluate()["eval_batches"] == 3
    assert calls == [False, False, True]


def test_several_data_sets_are_evaluated_by_name(tmp_path: Path) -> None:
    trainer = trainer_for(tmp_path, eval_dataset={"one": rows_for(4), "two": rows_for(6)})
    assert {"eval_one_loss", "eval_two_loss"} <= set(trainer.evaluate())


def test_texts_are_written_in_evaluation(tmp_path: Path) -> None:
    rows = [{"input_ids": [5 + row] * 4 + [2], "labels": [7] * (1 + row % 3) + [2]} for row in range(9)]
    args = Seq2SeqTrainingArguments(str(tmp_path), predict_with_generate=True, generation_max_length=6, use_cpu=True)
    model = writer("t5", "seq2seq-lm")
    trainer = Seq2SeqTrainer(model, args, data_collator=pad, eval_dataset=rows)
    output = trainer.predict(rows)
    for row, written in zip(rows, output.predictions, strict=True):
        alone = model.generate(torch.tensor([row["input_ids"]]), max_length=6)[0].tolist()
        assert written.tolist()[: len(alone)] == alone
        assert set(written.tolist()[len(alone) :]) <= {1}
    assert output.metrics is not None
    assert math.isfinite(output.metrics["test_loss"])
    assert trainer.predict(rows, max_length=3).predictions.shape[1] == 3


# --- right numbers -------------------------------------------------------------------------------------------------


def test_weights_are_kept_in_single_precision(tmp_path: Path) -> None:
    model = still().to(torch.bfloat16)
    trainer = trainer_for(tmp_path, model, bf16=True, learning_rate=1e-6)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer.train()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    moved = [not torch.equal(value.float(), trainer.model.state_dict()[name]) for name, value in before.items()]
    assert sum(moved) > len(moved) / 2


def test_a_number_that_is_not_finite_stops_the_training(tmp_path: Path) -> None:
    class Poison(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 2:
                with torch.no_grad():
                    kwargs["model"].backbone.layers[1].mlp.up.weight[0, 0] = math.nan

    with pytest.raises(NonFiniteError, match="Step 3: the loss is nan") as error:
        trainer_for(tmp_path, callbacks=[Poison]).train()
    assert "the weight backbone.layers.1.mlp.up.weight holds such a number already" in one_sentence(error.value)


def test_the_first_module_is_named_and_steps_can_be_left_out(tmp_path: Path) -> None:
    rows = rows_for(8)
    model = still()
    with torch.no_grad():
        model.backbone.embed.tokens.weight[59] = 1e38
        model.backbone.embed.tokens.weight[59, ::2] = -1e38
    bad = [{"input_ids": [59, 59, 59], "labels": 1}]
    with pytest.raises(NonFiniteError, match="in the output of backbone"):
        trainer_for(tmp_path, model, train_dataset=[*rows, *bad]).train()
    trainer = trainer_for(tmp_path, model, train_dataset=[*rows, *bad], nan_guard="skip")
    trainer.train()
    assert all(value.isfinite().all() for value in trainer.model.state_dict().values())


# --- callbacks, logs, errors ---------------------------------------------------------------------------------------


def test_events_come_in_order(tmp_path: Path) -> None:
    seen: list[str] = []

    def noting(event: str) -> Any:
        return lambda self, args, state, control, **kwargs: seen.append(event)

    kind = type("Noting", (TrainerCallback,), {event: noting(event) for event in EVENTS})
    options: dict[str, Any] = {"eval_strategy": "epoch", "eval_dataset": rows_for(2), "save_strategy": "epoch"}
    trainer_for(
        tmp_path, callbacks=[kind], train_dataset=rows_for(4), num_train_epochs=1, **options,
        per_device_train_batch_size=2, gradient_accumulation_steps=2, logging_steps=1,
    ).train()  # fmt: skip
    assert seen == [
        *("on_init_end", "on_train_begin", "on_epoch_begin", "on_step_begin", "on_substep_end"),
        *("on_pre_optimizer_step", "on_optimizer_step", "on_step_end", "on_log", "on_epoch_end"),
        *("on_prediction_step", "on_log", "on_evaluate", "on_save", "on_log", "on_train_end"),
    ]


def test_a_callback_stops_the_training(tmp_path: Path) -> None:
    class Enough(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
            control.should_training_stop = state.global_step == 4
            return control

    trainer = trainer_for(tmp_path, callbacks=[Enough()])
    assert trainer.train().global_step == 4


def test_logs_in_a_file(tmp_path: Path) -> None:
    import json

    trainer = trainer_for(tmp_path, report_to="jsonl", run_name="first")
    trainer.train()
    lines = [json.loads(line) for line in (tmp_path / "runs" / "first" / "log.jsonl").read_text().splitlines()]
    assert lines == trainer.state.log_history


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: Trainer(None, arguments(folder)), "Pass either a model or model_init"),
        (lambda folder: trainer_for(folder, eval_strategy="epoch"), "needs an eval_dataset"),
        (lambda folder: trainer_for(folder, nn.Linear(2, 2), gradient_checkpointing=True), "gradient_checkpointing"),
        (lambda folder: trainer_for(folder, nn.Linear(2, 2), label_smoothing_factor=0.1), "compute_loss_func"),
        (lambda folder: trainer_for(folder, train_dataset=[{"input_ids": [5, 6]}] * 4).train(), "needs labels"),
        (lambda folder: trainer_for(folder, train_dataset=iter([])).train(), "say max_steps"),
        (lambda folder: trainer_for(folder, callbacks=[print]), "subclass TrainerCallback"),
    ],
)
def test_what_is_wrong_is_said(make: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        make(tmp_path)
    assert said in one_sentence(error.value)


def test_a_model_is_made_anew_for_each_training(tmp_path: Path) -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(small_model("bert", "sequence-classification"))
        return made[-1]

    trainer = Trainer(args=arguments(tmp_path), model_init=make, train_dataset=rows_for(), data_collator=pad)
    trainer.train()
    trainer.train()
    assert len(made) == 3
    assert same_state(made[1], made[2])
