"""Heads: what they make of what they read."""

from __future__ import annotations

from headway.spec.norms import Norm
from headway.spec.part import part
from headway.spec.reads import EveryToken, Pooled, Read


@part
class Dense:
    """A hidden layer of a head: linear, activation and, where given, a norm. ``width`` None keeps the width."""

    activation: str
    width: int | None = None
    norm: Norm | None = None
    bias: bool = True


@part
class Predict:
    """Read, an optional hidden layer, and a linear layer to the labels."""

    read: Read
    dense: Dense | None = None
    bias: bool = True
    dropout: float = 0.0


@part
class Vocabulary:
    """A linear layer to the vocabulary, tied to the token table by ``tie``.

    ``tie`` is "always", "never", or "if_absent": tied only where the file brings no tensor of its own; None follows
    the config's ``tie_word_embeddings``.
    ``offset`` adds a stored, untrained row to the logits; ``scale`` multiplies the states before them; ``softcap``
    bounds them by ``cap * tanh(logit / cap)``.
    """

    read: Read = EveryToken()
    dense: Dense | None = None
    bias: bool = False
    tie: str | None = None
    offset: bool = False
    scale: float = 1.0
    softcap: float | None = None


@part
class SentencePairPretraining:
    """BERT's and ALBERT's objective: masked tokens and a relation of two sentences, the losses added.

    ``lm`` None is the family's masked language model. ``label`` names the argument of the relation's labels and
    ``logits`` its field in the output.
    """

    lm: Vocabulary | None = None
    pair: Predict = Predict(Pooled())
    label: str = "next_sentence_label"
    logits: str = "seq_relationship_logits"


@part
class ReplacedTokenDetection:
    """ELECTRA's objective (Clark et al. 2020, arXiv:2003.10555): one logit a token, was it replaced?"""

    dense: Dense


@part
class Project:
    """A linear layer without bias from the pooled vector to one of ``width`` that is compared with others."""

    width: int
    read: Read = Pooled()


@part
class Taught:
    """Two linear layers to the labels, for ``read`` and for ``taught``, which learned from a teacher; their mean."""

    read: Read
    taught: Read


@part
class SoftmaxContrast:
    """CLIP's objective: texts and images, projected to ``width``, each pick their counterpart from the batch.

    The logarithm of what multiplies their cosines starts from ``scale``.
    """

    width: int
    scale: float


@part
class SigmoidContrast:
    """SigLIP's objective (Zhai et al. 2023, arXiv:2303.15343): each pair of text and image is judged by itself."""


Recipe = (
    Predict
    | Vocabulary
    | SentencePairPretraining
    | ReplacedTokenDetection
    | Project
    | Taught
    | SoftmaxContrast
    | SigmoidContrast
)
