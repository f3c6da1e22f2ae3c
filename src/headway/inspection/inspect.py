"""Looking at a checkpoint: its config, the headers of its weights, and the small files beside them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from headway import spec
from headway.auto.config import AutoConfig
from headway.config import PreTrainedConfig, take_source_keywords
from headway.errors import InputError, did_you_mean
from headway.inspection import memory
from headway.inspection.files import card_facts, tokenizer_facts
from headway.inspection.fit import Fit, fit, held, tensors_of
from headway.inspection.inspection import Inspection, Weights
from headway.inspection.picture import draw
from headway.io.hub import locate
from headway.io.packed import pairs, unread
from headway.io.stored import Stored, stored_in
from headway.models.classes import class_name
from headway.models.plan import BASE, Plan, canonical_task, plan, tasks_of
from headway.parameters import Tensor
from headway.registry import Family, find_family
from headway.tasks import TASKS


def inspect_model(
    name: str | os.PathLike[str], *, tokens: int = 4096, rows: int = 1, variant: str | None = None, **kwargs: Any
) -> Inspection:
    """Look at a checkpoint without loading it: of weights on the hub no more than the headers is downloaded.

    torch is not imported.

    Args:
        name: a folder or a hub id.
        tokens: how long the texts are that the memory of a cache is computed for.
        rows: how many of them at once.
        variant: as in ``from_pretrained``.
        **kwargs: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``.

    Raises:
        CheckpointError: there is no such checkpoint, or a file of it is damaged.
        ConfigError: its config is broken, or of no known family.
        InputError: an argument is unknown, or no count.
    """
    for what, number in (("tokens", tokens), ("rows", rows)):
        if not isinstance(number, int) or number < 1:
            raise InputError(f"Expected {what} to be a positive number, got {number!r}.")
    place = take_source_keywords(kwargs)
    for other in kwargs:
        known = ("tokens", "rows", "variant", "revision", "subfolder", "cache_dir", "token", "local_files_only")
        raise InputError(f"inspect_model takes no argument {other!r}.{did_you_mean(other, known)}")
    source = locate(name, **place)
    card = card_facts(source)
    config = AutoConfig.from_pretrained(name, **place)
    family = find_family(config.model_type)
    stored = stored_in(source, variant=variant, name=getattr(config, "transformers_weights", None))
    fits, task = _fits(family, config, stored)
    made = plan(family, task, config)
    tensors = tensors_of(made, config)
    states = _states(family, config, fits)
    return Inspection(
        name=os.fspath(name),
        model_type=config.model_type,
        model=class_name(family, task),
        head=None if task == BASE else task,
        picture=draw(made, tensors, class_name(family, task)),
        parameters=sum(tensor.size for tensor in tensors.values() if tensor.learned),
        active=_active(tensors, made.backbone),
        weights=_weights(stored, config),
        fit=None if fits is None else fits[task],
        heads=states,
        tasks=_pipelines(made, states, card.get("pipeline_tag")),
        memory=memory.weights(tensors),
        cache=memory.cache(made.backbone, tokens, rows, _width(stored, config)),
        cache_tokens=tokens,
        cache_rows=rows,
        tokenizer=tokenizer_facts(source),
        card=card,
        notes=tuple(_notes(stored, config)),
    )


def _fits(family: Family, config: PreTrainedConfig, stored: Stored | None) -> tuple[dict[str, Fit] | None, str]:
    """How the file fits each head, and the one that it was saved with or else the first that is all there."""
    known = (*tasks_of(family), BASE)
    named = next((task for task in known if _is_named(family, task, config)), None)
    if stored is None or stored.entries is None:
        return None, canonical_task(family, named or BASE)
    entries = held(stored.entries)

    def one(task: str, whole: bool) -> Fit:
        task = canonical_task(family, task)
        return fit(plan(family, task, config), config, entries, class_name(family, task), whole)

    fits = {task: one(task, False) for task in known}
    task = named or next((task for task, found in fits.items() if found.own and not found.new), BASE)
    task = canonical_task(family, task)
    fits[task] = one(task, True)
    return fits, task


def _is_named(family: Family, task: str, config: PreTrainedConfig) -> bool:
    """Does the config say that this head was saved with the file?"""
    return class_name(family, task) in (config.architectures or ())


def _states(family: Family, config: PreTrainedConfig, fits: Mapping[str, Fit] | None) -> dict[str, str]:
    """What each head is in this file, as ``Inspection.heads`` says it."""
    tasks = tasks_of(family)
    if fits is None:
        return {task: "trained" if _is_named(family, task, config) else "unknown" for task in tasks}
    named = [task for task in tasks if _is_named(family, task, config)]
    taken = {fits[task].own for task in named}
    states = {}
    for task in tasks:
        found = fits[task]
        if found.missing or found.unfitting:
            states[task] = "impossible"
        elif found.new:
            states[task] = "new"
        elif task in named or (_is_own(task, found, taken, config) and _is_possible(family, task, config)):
            states[task] = "trained"
        else:
            states[task] = "fits"
    return states


def _is_own(task: str, found: Fit, taken: set[frozenset[str]], config: PreTrainedConfig) -> bool:
    """Has the head keys that belong to no head that the config names? One without any may be a backbone's."""
    return found.own not in taken if found.own else not config.architectures


def _is_possible(family: Family, task: str, config: PreTrainedConfig) -> bool:
    """Does the head make sense of what the backbone was trained to see? A text is not written looking ahead."""
    backbone = plan(family, task, config).backbone
    ahead = isinstance(backbone, spec.Encoder) and not all(spec.mixer_of(one).causal for one in backbone.stack.layers)
    return not (task == "causal-lm" and ahead)


def _pipelines(made: Plan, states: Mapping[str, str], tag: str | None) -> tuple[str, ...]:
    """The pipelines of heads that are trained; before them the one that the card names, if it is for such a head."""
    from headway.pipelines.base import named, pipelines

    trained = [TASKS[task] for task, state in states.items() if state == "trained"]
    autos = {f"AutoModel{task.auto or task.suffix}" for task in trained} or {"AutoModel"}
    reads = "pixel_values" if isinstance(made.backbone, spec.VisionEncoder) else "input_ids"
    said = named(tag) if isinstance(tag, str) else None
    found = [
        kind
        for kind in pipelines().values()
        if kind.auto in autos
        and (kind.auto != "AutoModel" or kind.reads == reads)
        and (kind.told_by_head or kind is said)
    ]
    return tuple(kind.task for kind in sorted(found, key=lambda kind: kind is not said))


def _active(tensors: Mapping[str, Tensor], backbone: spec.Backbone) -> int:
    """Parameters that one token meets: of experts those that it goes to."""
    total = sum(tensor.size for tensor in tensors.values() if tensor.learned)
    for number, layer in enumerate(getattr(getattr(backbone, "stack", None), "layers", ())):
        moe = getattr(layer, "mlp", None)
        if isinstance(moe, spec.MixtureOfExperts):
            path = f"backbone.layers.{number}.mlp.experts.0."
            expert = sum(tensor.size for key, tensor in tensors.items() if key.startswith(path))
            total -= expert * (moe.count - moe.router.top)
    return total


def _weights(stored: Stored | None, config: PreTrainedConfig) -> Weights | None:
    if stored is None or stored.entries is None:
        return None
    counts: Counter[str] = Counter()
    for entry in stored.entries.values():
        counts[entry.kind] += entry.nbytes
    settings = getattr(config, "quantization_config", None)
    quantised = settings.get("quant_method") or settings.get("weights") if isinstance(settings, Mapping) else None
    return Weights(stored.files, dict(counts.most_common()), quantised)


def _width(stored: Stored | None, config: PreTrainedConfig) -> int:
    """Bytes of a number of the model's dtype: the config's, else the file's."""
    said = config.dtype
    if isinstance(said, str):
        return 4 if said == "float32" else 2
    weights = _weights(stored, config)
    return 2 if weights is not None and next(iter(weights.dtypes), "") in ("bfloat16", "float16") else 4


def _notes(stored: Stored | None, config: PreTrainedConfig) -> list[str]:
    if stored is None:
        return ["there are no weights here in a format that headway reads"]
    if stored.entries is None:
        return [
            f"{stored.files[0]} is a pickle: which tensors it holds is not known without loading it; `headway convert` "
            "makes safetensors of it"
        ]
    kinds = {name: entry.kind for name, entry in stored.entries.items()}
    method = unread(kinds, getattr(config, "quantization_config", None), pairs(kinds))
    return [] if method is None else [f"its weights are quantised by {method[0]}, which headway does not read"]
