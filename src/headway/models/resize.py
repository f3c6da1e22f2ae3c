"""Another number of tokens in a model that stands already."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from headway.errors import InputError
from headway.models.load import assign, ties
from headway.nn.quantised import QuantisedLinear
from headway.quant.convert import quantised_layers


@torch.no_grad()
def resize_vocabulary(model: Any, count: int) -> None:
    """Give a family's model ``count`` tokens: tokens it has keep their rows, new ones are drawn like new weights.

    Raises:
        InputError: ``count`` is no positive number, or the output layer is quantised.
    """
    if not isinstance(count, int) or count < 1:
        raise InputError(f"Expected new_num_tokens to be a positive number, got {count!r}; pass len(tokenizer).")
    if isinstance(model.get_output_embeddings(), QuantisedLinear):
        raise InputError("A quantised output layer takes no new tokens; resize the model first, then quantise it.")
    config = copy.deepcopy(model.config)
    config.get_text_config().vocab_size = count
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in type(model)(config).state_dict().items()}
    std = getattr(config, "init_std", config.initializer_range)
    state = model.state_dict(keep_vars=True)
    tied, changed = ties(state), {}
    rounded = {f"{path}.{name}" for path, layer in quantised_layers(model).items() for name in layer.tensors()}
    for name, old in state.items():
        if name not in tied and name not in rounded and old.shape != shapes[name]:
            new = old.new_zeros(shapes[name])
            if new.dim() > 1:
                new.normal_(0.0, std)
            kept = min(len(old), len(new))
            new[:kept] = old[:kept]
            changed[name] = new
    assign(model, changed, None)
    model.config.get_text_config().vocab_size = count
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.num_embeddings = module.weight.shape[0]
        elif isinstance(module, nn.Linear):
            module.out_features = module.weight.shape[0]
