"""Models of a text and an image backbone whose vectors are compared."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from headway.errors import InputError
from headway.models.family import FamilyModel, wanted
from headway.models.inputs import shape_of
from headway.models.vision import look
from headway.nn.batch import batch_of
from headway.nn.stack import Tokens
from headway.outputs import ContrastOutput


class TwoTowerModel(FamilyModel):
    """Texts and images side by side."""

    def get_text_features(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """The text backbone's output, whose ``pooler_output [rows, width]`` is comparable with the images'.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        rows, width, device = shape_of(input_ids, None)
        wants = wanted(self.config, output_attentions, output_hidden_states)
        run = self._run(batch_of(rows, width, device, attention_mask, position_ids), wants)
        backbone, head = self._towers()
        states = backbone.text.states(Tokens(input_ids), run)
        states.pooled = head.text_features(states.pooled)
        return self._given(self._base_output(states), return_dict)

    def get_image_features(
        self,
        pixel_values: Tensor | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
    ) -> Any:
        """The image backbone's output, whose ``pooler_output [rows, width]`` is comparable with the texts'.

        Raises:
            InputError: an image of another shape.
        """
        wants = wanted(self.config, output_attentions, output_hidden_states)
        backbone, head = self._towers()
        states = look(self, backbone.vision, pixel_values, None, interpolate_pos_encoding, wants)
        states.pooled = head.image_features(states.pooled)
        return self._given(self._base_output(states), return_dict)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        return_loss: bool | None = None,
        interpolate_pos_encoding: bool = False,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **labels: Any,
    ) -> Any:
        """Compare each text with each image.

        Args:
            input_ids: ``[texts, width]`` int64.
            pixel_values: ``[images, channels, height, width]`` floats.
            attention_mask: ``[texts, width]``, 1 at real tokens.
            position_ids: in place of counting each row from its first real token.
            return_loss: True gives the loss of texts and images that belong together in order.
            interpolate_pos_encoding: resample the positions for images of another size.
            **labels: ``loss_counts``, rows of the whole step, of which this pass is a part, as ``return_loss``.

        Returns:
            ``ContrastOutput``, or a tuple with ``return_dict=False``.

        Raises:
            InputError: shapes, ids or lengths that do not fit.
        """
        counts = labels.pop("loss_counts", None)
        self._targets(labels)
        if input_ids is None or pixel_values is None:
            raise InputError(
                f"{type(self).__name__} compares texts with images, so it needs input_ids and pixel_values; for one of "
                "the two there are get_text_features and get_image_features."
            )
        asked: Any = {"output_attentions": output_attentions, "output_hidden_states": output_hidden_states}
        text = self.get_text_features(input_ids, attention_mask, position_ids, **asked, return_dict=True)
        image = self.get_image_features(pixel_values, interpolate_pos_encoding, **asked, return_dict=True)
        texts, images = _unit(text.pooler_output), _unit(image.pooler_output)
        _, head = self._towers()
        logits = head.logits(texts @ images.t())
        output = ContrastOutput(
            loss=head.loss(logits, None if counts is None else counts["return_loss"]) if return_loss else None,
            logits_per_image=logits.t(),
            logits_per_text=logits,
            text_embeds=texts,
            image_embeds=images,
            text_model_output=text,
            vision_model_output=image,
        )
        return self._given(output, return_dict)

    def loss_counts(self, **batch: Any) -> dict[str, int]:
        """The rows of a batch, as ``return_loss``, where it asks for a loss; see ``heads.contrast`` for its limits."""
        return {"return_loss": len(batch["input_ids"])} if batch.get("return_loss") else {}

    def compare(self, texts: Tensor, images: Tensor) -> Tensor:
        """Logits ``[texts, images]`` of features ``[texts, width]`` and ``[images, width]``."""
        _, head = self._towers()
        logits: Tensor = head.logits(_unit(texts) @ _unit(images).t())
        return logits

    def _towers(self) -> tuple[Any, Any]:
        return self.backbone, self.head

    def get_input_embeddings(self) -> nn.Embedding:
        """The token table."""
        table: nn.Embedding = self.backbone.text.embed.tokens
        return table


def _unit(vectors: Tensor) -> Tensor:
    """Vectors of length one."""
    return vectors / vectors.norm(dim=-1, keepdim=True)
