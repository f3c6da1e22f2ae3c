"""``Seq2SeqTrainer``: evaluates a model by the texts that it writes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headway.errors import InputError
from headway.generation.config import GenerationConfig
from headway.training.arguments import Seq2SeqTrainingArguments
from headway.training.state import PredictionOutput
from headway.training.trainer import Trainer


class Seq2SeqTrainer(Trainer):
    """A ``Trainer`` whose predictions are token ids, where ``predict_with_generate`` asks for them.

    ``evaluate`` and ``predict`` take options of ``generate`` by keyword (``max_length``, ``num_beams`` ...), before
    those of the arguments.

    Raises:
        InputError: the model cannot write.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._options: dict[str, Any] = {}
        super().__init__(*args, **kwargs)
        writes = getattr(self.model, "can_generate", lambda: False)
        if self._writes and not writes():
            raise InputError(f"predict_with_generate=True needs a model that writes, not {type(self.model).__name__}.")

    @property
    def _writes(self) -> bool:
        return isinstance(self.args, Seq2SeqTrainingArguments) and self.args.predict_with_generate

    @property
    def prediction_fill(self) -> int:
        pad = self.model.generation_config.pad_token_id if self._writes else None
        return super().prediction_fill if pad is None else int(pad)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: Sequence[str] | None = None,
        metric_key_prefix: str = "eval",
        **options: Any,
    ) -> dict[str, float]:
        """As ``Trainer.evaluate``; ``options`` go to ``generate``."""
        self._options = self._chosen(options)
        return super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)

    def predict(
        self,
        test_dataset: Any,
        ignore_keys: Sequence[str] | None = None,
        metric_key_prefix: str = "test",
        **options: Any,
    ) -> PredictionOutput:
        """As ``Trainer.predict``; ``options`` go to ``generate``."""
        self._options = self._chosen(options)
        return super().predict(test_dataset, ignore_keys, metric_key_prefix)

    def _chosen(self, options: dict[str, Any]) -> dict[str, Any]:
        """What ``generate`` is told: the options of the call before those of the arguments."""
        args: Any = self.args
        chosen: dict[str, Any] = {}
        if not self._writes:
            return chosen
        if args.generation_config is not None:
            given = args.generation_config
            config = given if isinstance(given, GenerationConfig) else GenerationConfig.from_pretrained(given)
            chosen["generation_config"] = copy.deepcopy(config)
        if args.generation_max_length is not None and "max_new_tokens" not in options:
            chosen["max_length"] = args.generation_max_length
        if args.generation_num_beams is not None:
            chosen["num_beams"] = args.generation_num_beams
        return chosen | options

    @torch.no_grad()
    def prediction_step(
        self,
        model: nn.Module,
        inputs: Mapping[str, Any],
        prediction_loss_only: bool,
        ignore_keys: Sequence[str] | None = None,
    ) -> tuple[Tensor | None, Any, Any]:
        """One batch: its loss where it has labels, the ids that the model writes, and the labels."""
        if not self._writes or prediction_loss_only:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        labels = self._labels(inputs)
        loss = None if labels is None else super().prediction_step(model, inputs, True)[0]
        names = {*self.label_names, "decoder_input_ids", "decoder_attention_mask"}
        prompts = {name: value for name, value in self.prepared(inputs).items() if name not in names}
        with self.precision.compute():
            ids = self.model.generate(**prompts, **self._options)
        return loss, ids, labels
