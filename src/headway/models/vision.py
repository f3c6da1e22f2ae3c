"""Models of one stack over an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway.models.family import FamilyModel, Wants
from headway.nn.batch import Batch


class VisionModel(FamilyModel):
    """A head on a stack over an image."""

    main_input_name = "pixel_values"

    def forward(
        self,
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Run the model.

        Args:
            pixel_values: ``[rows, channels, height, width]`` floats.
            interpolate_pos_encoding: resample the positions for images of another size.
            **labels: ``labels`` of the head.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: an image of another shape.
        """
        targets = self._targets(labels)
        backbone: Any = self.backbone
        embedded = backbone.embed(pixel_values, interpolate_pos_encoding)
        batch = Batch(embedded.shape[0], embedded.shape[1], embedded.device)
        run = self._run(batch, Wants(self.config, output_attentions, output_hidden_states))
        return self._output(backbone.states(embedded, run), targets, None, return_dict)

    def get_input_embeddings(self) -> Any:
        """The patch projection."""
        return self.backbone.embed.project
