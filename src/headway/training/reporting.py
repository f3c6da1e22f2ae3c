"""Callbacks that show how a training goes: on the terminal, in a file of JSON lines, in TensorBoard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from headway.errors import MissingExtraError
from headway.training.arguments import TrainingArguments
from headway.training.callbacks import TrainerCallback
from headway.training.state import TrainerControl, TrainerState


class ProgressCallback(TrainerCallback):
    """A bar of steps on stderr, with what is logged behind it; evaluations have a bar of their own."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.evaluation: Any = None

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

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._close_evaluation()

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
        f"{name} {value:.3g}" if name in ("learning_rate", "epoch") else f"{name} {value:.4g}"
        for name, value in logs.items()
        if isinstance(value, int | float)
    )


class JsonLinesCallback(TrainerCallback):
    """Appends what is logged to ``log.jsonl`` in ``logging_dir``."""

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
        self.make, self.writer = SummaryWriter, None  # type: tuple[Any, Any]

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


def log_folder(args: TrainingArguments) -> Path:
    """Where logs of a run lie."""
    folder = Path(args.logging_dir) if args.logging_dir else Path(str(args.output_dir)) / "runs"
    return folder / args.run_name if args.run_name else folder


def reporters(args: TrainingArguments) -> list[TrainerCallback]:
    """The callbacks that ``args`` ask for; the bar is shown on terminals alone where nothing is said of it."""
    hidden = not sys.stderr.isatty() if args.disable_tqdm is None else args.disable_tqdm
    made: dict[str, type[TrainerCallback]] = {"jsonl": JsonLinesCallback, "tensorboard": TensorBoardCallback}
    shown = [] if args.disable_tqdm is None and hidden else [PrinterCallback() if hidden else ProgressCallback()]
    return [*(made[name]() for name in args.report_to), *shown]
