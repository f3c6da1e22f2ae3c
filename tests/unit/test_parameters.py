"""What is known of a network's parameters without building it is what its modules have."""

from __future__ import annotations

import pytest
import torch

from headway.models.assemble import model_class
from headway.models.plan import canonical_task, plan
from headway.parameters import head_parameters, parameters_of
from headway.registry import find_family
from small import PAIRS, small_config


@pytest.mark.parametrize(("family", "task"), PAIRS, ids=lambda x: str(x))
def test_every_tensor_of_every_family_with_every_head(family: str, task: str) -> None:
    config = small_config(family)
    with torch.device("meta"):
        model = model_class(family, task)(config)
    made = plan(find_family(family), canonical_task(find_family(family), task), config)
    known = {f"backbone.{name}": it for name, it in parameters_of(made.backbone, made.pooled, made.parts)}
    if made.head is not None:
        own = head_parameters(made.head, made.recipe, made.backbone, config)
        known |= {f"head.{name}": it for name, it in own}
    state = model.state_dict(keep_vars=True)
    assert {name: it.shape for name, it in known.items()} == {name: tuple(it.shape) for name, it in state.items()}
    learned = {name for name, it in known.items() if it.learned}
    assert learned == {name for name, it in state.items() if isinstance(it, torch.nn.Parameter)}
