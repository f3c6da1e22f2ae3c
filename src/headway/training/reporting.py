"""Callbacks that show how a training goes: on the terminal, in notebooks, in a file of JSON lines, in TensorBoard."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headway.errors import MissingExtraError
from headway.io.atomic import write_file
from headway.training.arguments import TrainingArguments
from headway.training.callbacks import TrainerCallback
from headway.training.report.blocks import Table
from headway.training.report.facts import without_speed
from headway.training.report.page import fragment
from headway.training.state import TrainerControl, TrainerState


class SpeedCallback(TrainerCallback):
    """Adds ``samples_per_second`` to what is logged of training: rows since the last time, by the time of steps alone.

    Evaluations and checkpoints do not count, nor does the first step, which is slower than others.
    """

    def __init__(self) -> None:
        self.seconds, self.steps = 0.0, 0
        self.mark: float | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.perf_counter()
        if self.mark is not None:
            self.seconds, self.steps = self.seconds + now - self.mark, self.steps + 1
        self.mark = now

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is not None and "loss" in logs and self.steps:
            rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
            logs["samples_per_second"] = self.steps * rows / self.seconds
            state.log_history[-1]["samples_per_second"] = logs["samples_per_second"]
            self.seconds, self.steps = 0.0, 0

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.mark = time.perf_counter()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.mark = time.perf_counter()


class ProgressCallback(TrainerCallback):
    """A bar of steps on stderr, with what is logged behind it and a line for each evaluation.

    In a notebook the evaluations are a table below the bar.
    """

    def __init__(self) -> None:
        self.bar: Any = None
        self.evaluation: Any = None
        self.evaluations = Evaluations()

    def _shown(self, total: int | None, name: str, leave: bool) -> Any:
        from huggingface_hub.utils.tqdm import tqdm

        return tqdm(total=total, desc=name, leave=leave, dynamic_ncols=True, file=sys.stderr)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            self.bar = self._shown(state.max_steps, "Training", leave=True)
            self.bar.update(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self.bar is not None:
            self.bar.update(state.global_step - self.bar.n)

    def on_prediction_step(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        eval_dataloader: Any = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero:
            return
        if self.evaluation is None:
            total = len(eval_dataloader) if hasattr(eval_dataloader, "__len__") else None
            self.evaluation = self._shown(total, "Evaluation", leave=False)
        self.evaluation.update()

    def _close_evaluation(self) -> None:
        if self.evaluation is not None:
            self.evaluation.close()
            self.evaluation = None

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._close_evaluation()
        if state.is_world_process_zero and metrics:
            self.evaluations.show(state, metrics, print_above if self.bar is None else self.bar.write)

    def on_predict(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._close_evaluation()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self.bar is not None:
            self.bar.set_postfix_str(said(logs or {}))

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Evaluations:
    """The evaluations of a training as a table that grows: lines of a terminal, or HTML in a notebook."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.display: Any = None

    def show(self, state: TrainerState, metrics: Mapping[str, float], write: Callable[..., Any]) -> None:
        """One more evaluation; ``write`` prints a line above a bar."""
        numbers = {name: value for name, value in without_speed(metrics).items() if isinstance(value, int | float)}
        row = {"step": state.global_step, "epoch": round(state.epoch, 2), **numbers}
        is_new = not self.rows or self.rows[-1].keys() != row.keys()
        self.rows.append(row)
        if in_notebook():
            self._display()
            return
        widths = [max(len(name), 8) for name in row]
        if is_new:
            write("  ".join(name.rjust(width) for name, width in zip(row, widths, strict=True)), file=sys.stderr)
        cells = (f"{value:.4g}".rjust(width) for value, width in zip(row.values(), widths, strict=True))
        write("  ".join(cells), file=sys.stderr)

    def _display(self) -> None:
        from IPython.display import HTML, display

        names = list(dict.fromkeys(name for row in self.rows for name in row))
        cells = [[row.get(name, float("nan")) for name in names] for row in self.rows]
        shown = HTML(fragment(Table("Evaluations", names, cells).html()))
        if self.display is None:
            self.display = display(shown, display_id=True)
        else:
            self.display.update(shown)


def print_above(line: str, file: Any) -> None:
    """Print a line where there is no bar."""
    print(line, file=file)


def in_notebook() -> bool:
    """Does this run in a notebook, which shows HTML?"""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


class PrinterCallback(TrainerCallback):
    """A line on stderr for everything that is logged."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero:
            print(f"step {state.global_step}/{state.max_steps}  {said(logs or {})}", file=sys.stderr)


def said(logs: dict[str, float]) -> str:
    """``logs`` in a line."""
    return "  ".join(
        f"{name} {value:.3g}" if name in ("learning_rate", "epoch", "samples_per_second") else f"{name} {value:.4g}"
        for name, value in logs.items()
        if isinstance(value, int | float)
    )


class JsonLinesCallback(TrainerCallback):
    """Appends what is logged to ``log.jsonl`` in ``logging_dir``.

    A training that is resumed takes out first what was logged after the checkpoint that it goes on from.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        path = log_folder(args) / "log.jsonl"
        if state.is_world_process_zero and state.global_step and path.is_file():
            lines = path.read_text().splitlines(keepends=True)
            write_file(path, "".join(line for line in lines if step_of(line) <= state.global_step).encode())

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if state.is_world_process_zero:
            folder = log_folder(args)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "log.jsonl").open("a") as file:
                file.write(json.dumps({**(logs or {}), "step": state.global_step}) + "\n")


class TensorBoardCallback(TrainerCallback):
    """Writes what is logged for TensorBoard into ``logging_dir``; raises ``MissingExtraError`` where it is missing."""

    def __init__(self) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError(
                "report_to='tensorboard' needs tensorboard; install it with: pip install headway[tensorboard]"
            ) from error
        self.make: Any = SummaryWriter
        self.writer: Any = None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero:
            return
        if self.writer is None:
            self.writer = self.make(str(log_folder(args)))
        for name, value in (logs or {}).items():
            if isinstance(value, int | float):
                part = "eval" if name.startswith("eval_") else "train"
                self.writer.add_scalar(f"{part}/{name.removeprefix('eval_')}", value, state.global_step)
        self.writer.flush()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def step_of(line: str) -> float:
    """The step of a line of a log; beyond all where the line was cut off."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def log_folder(args: TrainingArguments) -> Path:
    """Where logs of a run lie."""
    folder = Path(args.logging_dir) if args.logging_dir else Path(str(args.output_dir)) / "runs"
    return folder / args.run_name if args.run_name else folder


def reporters(args: TrainingArguments) -> list[TrainerCallback]:
    """The callbacks that ``args`` ask for; the bar is shown on terminals alone where nothing is said of it."""
    seen = sys.stderr.isatty() or in_notebook()
    hidden = not seen if args.disable_tqdm is None else args.disable_tqdm
    made: dict[str, type[TrainerCallback]] = {"jsonl": JsonLinesCallback, "tensorboard": TensorBoardCallback}
    shown = [] if args.disable_tqdm is None and hidden else [PrinterCallback() if hidden else ProgressCallback()]
    watching = [*(made[name]() for name in args.report_to), *shown]
    return [SpeedCallback(), *watching] if watching else []
