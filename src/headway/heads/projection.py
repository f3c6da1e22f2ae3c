"""A row's vector, of a width in which it can be compared with those of another backbone."""

from __future__ import annotations

from torch import Tensor

from headway import spec, tasks
from headway.config import PreTrainedConfig
from headway.heads.base import Head, read
from headway.heads.losses import Targets
from headway.nn.linear import Linear
from headway.nn.stack import States
from headway.outputs import ModelOutput, ProjectionOutput
from headway.tasks import width_read


class Projection(tasks.Projection, Head):
    """``text_embeds`` or ``image_embeds``, ``[rows, width]``, for families whose checkpoints hold the layer."""

    def __init__(self, config: PreTrainedConfig, recipe: spec.Project, backbone: spec.Backbone) -> None:
        super().__init__(config, recipe, backbone)
        self.out = Linear(width_read(recipe.read, backbone), recipe.width, bias=False)
        self.field = "image_embeds" if isinstance(backbone, spec.VisionEncoder) else "text_embeds"

    def forward(self, states: States, targets: Targets, ids: Tensor | None) -> ModelOutput:
        output = ProjectionOutput()
        output[self.field] = self.out(read(self.read, states, ids, self.config))
        output["last_hidden_state"] = states.unpacked
        return output
