"""Where in a text the answer starts and ends."""

from __future__ import annotations

from torch import Tensor

from headway import tasks
from headway.heads.base import Prediction
from headway.heads.losses import Targets, place, place_labels
from headway.nn.batch import Batch
from headway.nn.stack import States
from headway.outputs import ModelOutput, QuestionAnsweringModelOutput


class QuestionAnswering(tasks.QuestionAnswering, Prediction):
    """Two logits a token, split into ``start_logits`` and ``end_logits``, ``[rows, width]`` each."""

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
