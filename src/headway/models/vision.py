"""Models of one stack over an image."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from headway.models.family import FamilyModel, wanted
from headway.nn.batch import Batch
from headway.nn.run import Wants
from headway.nn.stack import States


class VisionModel(FamilyModel):
    """A head on a stack over an image."""

    main_input_name = "pixel_values"

    def forward(
        self,
        pixel_values: Tensor | None = None,
        bool_masked_pos: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Run the model.

        Args:
            pixel_values: ``[rows, channels, height, width]`` floats.
            bool_masked_pos: ``[rows, patches]``, True at patches that the model's mask token is to stand for.
            interpolate_pos_encoding: resample the positions for images of another size.
            **labels: ``labels`` of the head; ``loss_counts`` (labels of the whole step, of which this pass is a part)
                and ``label_smoothing`` (0 to 1) say how the loss is made of them.

        Returns:
            The head's output, or a tuple with ``return_dict=False``.

        Raises:
            InputError: an image of another shape.
        """
        targets = self._targets(labels)
        wants = wanted(self.config, output_attentions, output_hidden_states)
        states = look(self, self.backbone, pixel_values, bool_masked_pos, interpolate_pos_encoding, wants)
        return self._output(states, targets, None, return_dict)

    def _layout(self, given: dict[str, Any]) -> Batch:
        pixels = given["pixel_values"]
        return Batch(len(pixels), 1, pixels.device)

    def get_input_embeddings(self) -> Any:
        """The patch projection."""
        return self.backbone.embed.project


def look(
    model: FamilyModel, backbone: Any, pixels: Tensor | None, hidden: Tensor | None, interpolate: bool, wants: Wants
) -> States:
    """Run a backbone over images; ``nn.patches.Patches`` tells what the arguments are."""
    x = backbone.embed(pixels, interpolate, hidden)
    run = model._run(Batch(x.shape[0], x.shape[1], x.device), wants)
    run.grid = backbone.embed.cut(pixels)
    states: States = backbone.after(x, run)
    return states
