"""The parameters of heads by their recipes."""

from __future__ import annotations

from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.parameters.tensor import Tensor, Tensors, linear, norm, under
from headway.tasks import MaskedLM, Task, vocabulary_of, width_read


def head_parameters(task: type[Task], recipe: Any, backbone: spec.Backbone, config: PreTrainedConfig) -> Tensors:
    """All tensors of the head of ``task`` by canonical names; an output layer that is tied has a name here too."""
    labels = config.num_labels if task.num_labels is None else task.num_labels
    match recipe:
        case spec.Vocabulary():
            yield from under("lm", _vocabulary(recipe, backbone))
        case spec.SentencePairPretraining():
            yield from under("lm", _vocabulary(recipe.lm or MaskedLM.recipe(backbone, config, {}), backbone))
            yield from linear("pair", width_read(recipe.pair.read, backbone), 2, recipe.pair.bias)
        case spec.ReplacedTokenDetection():
            width = width_read(spec.EveryToken(), backbone)
            yield from _hidden(recipe.dense, width)
            yield from linear("out", recipe.dense.width or width, 1)
        case spec.Predict():
            width = width_read(recipe.read, backbone)
            yield from _hidden(recipe.dense, width)
            inner = width if recipe.dense is None else recipe.dense.width or width
            yield from linear("out", inner, labels, recipe.bias)
        case spec.Project():
            yield from linear("out", width_read(recipe.read, backbone), recipe.width, False)
        case spec.Taught():
            yield from linear("own", width_read(recipe.read, backbone), labels)
            yield from linear("taught", width_read(recipe.taught, backbone), labels)
        case _:
            assert isinstance(backbone, spec.TwoTowers)
            yield from _contrast(recipe, backbone)


def _contrast(recipe: Any, towers: spec.TwoTowers) -> Tensors:
    if isinstance(recipe, spec.SoftmaxContrast):
        yield from linear("text", width_read(spec.Pooled(), towers.text), recipe.width, False)
        yield from linear("image", width_read(spec.Pooled(), towers.vision), recipe.width, False)
    else:
        yield "bias", Tensor(())
    yield "scale.weight", Tensor(())


def _vocabulary(recipe: spec.Vocabulary, backbone: spec.Backbone) -> Tensors:
    width, vocabulary = width_read(recipe.read, backbone), vocabulary_of(backbone)
    yield from _hidden(recipe.dense, width)
    inner = width if recipe.dense is None else recipe.dense.width or width
    yield from linear("decoder", inner, vocabulary, recipe.bias)
    if recipe.offset:
        yield "offset", Tensor((vocabulary,), learned=False)


def _hidden(dense: spec.Dense | None, width: int) -> Tensors:
    if dense is not None:
        inner = dense.width or width
        yield from linear("hidden.dense", width, inner, dense.bias)
        yield from norm("hidden.norm", dense.norm, inner)
