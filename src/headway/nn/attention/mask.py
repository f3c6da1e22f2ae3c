"""Which keys a query sees, made only where a kernel needs it in writing, and once a pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from headway.nn.batch import Padded
from headway.nn.run import Run

Seen = tuple[Tensor | None, bool]


@dataclass(frozen=True)
class Rule:
    """A layer's rule: ``causal`` hides later keys, ``window`` distant ones, ``bias`` is the slot of a bias to add.

    ``own`` says that no other layer has that bias.
    """

    causal: bool
    window: int | None
    bias: int | None
    own: bool = False


def kept(run: Run, rule: Rule) -> dict[Any, Any]:
    """Where masks of ``rule`` are kept: for the pass, or only while the one layer runs that has their bias."""
    if not rule.own:
        return run.masks
    if run.own_masks is None or run.own_masks[0] != rule:
        run.own_masks = (rule, {})
    return run.own_masks[1]


def row_mask(run: Run, rule: Rule, queries: int, keys: int) -> Seen:
    """What a kernel is told for the last ``queries`` of ``keys`` tokens of one row: ``(mask, causal)``."""
    if queries == 1 and rule.bias is None and (rule.window is None or keys <= rule.window):
        return None, False  # the last token sees all
    key = (rule, queries, keys)
    masks = kept(run, rule)
    found: Seen | None = masks.get(key)
    if found is None:
        found = masks[key] = _row_mask(run, rule, queries, keys)
    return found


def _row_mask(run: Run, rule: Rule, queries: int, keys: int) -> Seen:
    device = run.batch.device
    near = rule.window is None or keys <= rule.window
    visible = None
    if rule.causal and not (queries == 1 and near):
        if queries == keys and near and rule.bias is None:
            return None, True
        visible = _visible(torch.arange(keys - queries, keys, device=device), keys, rule)
    elif not near:
        visible = _visible(torch.arange(keys - queries, keys, device=device), keys, rule)
    bias = None if rule.bias is None else run.positions[rule.bias].rows(queries, keys)
    return _joined(visible, bias), False


def ragged_mask(run: Run, rule: Rule, queries: int, keys: int) -> Tensor | None:
    """The mask of a dense batch whose rows have tokens of their own number in the cache.

    They end in the same column, so that what is visible by the rule is one for all; besides, each row sees no column
    before its own.
    """
    key = (rule, "ragged", keys)
    masks = kept(run, rule)
    if key not in masks:
        past = torch.as_tensor(run.batch.past, device=run.batch.device)
        starts = keys - queries - past
        own = torch.arange(keys, device=run.batch.device) >= starts[:, None]
        mask, causal = row_mask(run, replace(rule, bias=None, own=False), queries, keys)
        if causal:
            mask = _visible(torch.arange(keys, device=run.batch.device), keys, rule)
        bias = None if rule.bias is None else run.positions[rule.bias].ragged(starts, queries, keys)
        masks[key] = _joined(_joined(own[:, None, None], mask), bias)
    found: Tensor | None = masks[key]
    return found


def padded_mask(run: Run, rule: Rule, queries: int, keys: int) -> Tensor | None:
    """The mask of a batch that keeps its padding."""
    masks = kept(run, rule)
    if rule not in masks:
        batch = run.batch
        assert isinstance(batch, Padded)
        visible = batch.keys[:, None, None]
        if rule.causal or rule.window is not None:
            at = torch.arange(keys, device=batch.device)
            own = at[keys - queries :]
            # Queries at padding see themselves: a softmax over nothing would give no number.
            visible = (visible & _visible(own, keys, rule)) | (own[:, None] == at)
        bias = None if rule.bias is None else run.positions[rule.bias].ragged(batch.begins, queries, keys)
        masks[rule] = _joined(visible, bias)
    found: Tensor | None = masks[rule]
    return found


def given_mask(run: Run, rule: Rule, keys: int) -> Tensor | None:
    """The caller's own mask, with the layer's bias added to it."""
    key = (rule, "given", keys)
    masks = kept(run, rule)
    if key not in masks:
        assert run.batch.mask is not None
        bias = None if rule.bias is None else run.positions[rule.bias].rows(run.batch.width, keys)
        masks[key] = _joined(run.batch.mask[..., -keys:], bias)
    found: Tensor | None = masks[key]
    return found


def _visible(positions: Tensor, keys: int, rule: Rule) -> Tensor:
    """Boolean ``[..., queries, keys]``: does the query at each of ``positions`` see each key?"""
    distance = positions[..., None] - torch.arange(keys, device=positions.device)
    seen = distance >= 0 if rule.causal else torch.ones_like(distance, dtype=torch.bool)
    if rule.window is not None:
        seen = seen & (distance < rule.window)
        if not rule.causal:
            seen = seen & (distance > -rule.window)
    return seen


def _joined(visible: Tensor | None, other: Tensor | None) -> Tensor | None:
    """Two masks in one; ``other`` may be a bias."""
    if other is None or visible is None:
        return visible if other is None else other
    if visible.dtype != torch.bool:
        return visible + other
    return visible & other if other.dtype == torch.bool else other.masked_fill(~visible, float("-inf"))
