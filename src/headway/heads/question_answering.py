"""Where in a text the answer starts and ends."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway import spec
from headway.config import PreTrainedConfig
from headway.heads.base import TEXT, Prediction, Recipes
from headway.heads.losses import Targets, place, place_labels
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ModelOutput, QuestionAnsweringModelOutput


class QuestionAnswering(Prediction):
    """Two logits a token, split into ``start_logits`` and ``end_logits``, ``[rows, width]`` each."""

    task = "question-answering"
    suffix = "ForQuestionAnswering"
    kinds = TEXT
    targets = ("start_positions", "end_positions")

    def __init__(self, config: PreTrainedConfig, recipe: spec.Predict, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone, 2)

    @classmethod
    def recipe(cls, backbone: spec.Backbone, config: PreTrainedConfig, own: Recipes) -> Any:
        return spec.Predict(spec.EveryToken(), dropout=float(getattr(config, "qa_dropout", 0.0)))

    @classmethod
    def names(cls, recipe: spec.Predict) -> dict[str, str]:
        return {"out": "qa_outputs"}

    def read_labels(self, name: str, labels: Tensor, batch: Batch) -> Tensor:
        return place_labels(name, labels, batch)

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        start, end = states.batch.unpack(self.predict(states, ids)).unbind(-1)
        starts, ends = (self.target(name, targets, states.batch) for name in self.targets)
        loss = None
        if starts is not None and ends is not None:
            loss = (place(start, starts, states.batch) + place(end, ends, states.batch)) / 2
        return QuestionAnsweringModelOutput(
            loss=loss,
            start_logits=start.contiguous(),
            end_logits=end.contiguous(),
        )
