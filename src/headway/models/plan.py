"""What a model of a family, a task and a config is made of, before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headway import spec
from headway.config import PreTrainedConfig
from headway.errors import ConfigError, HeadwayError
from headway.names import Names, Translation, translation
from headway.registry import Family
from headway.tasks import TASKS, Contrast, Task

BASE = "base"


@dataclass(frozen=True)
class Plan:
    """A backbone, the head on it (None for the bare backbone) and the names of its parameters in files."""

    backbone: spec.Backbone
    head: type[Task] | None
    recipe: Any
    names: Names
    translation: Translation

    @property
    def pooled(self) -> bool:
        """Does anything read the backbone's pooler?"""
        recipe = self.recipe.pair if isinstance(self.recipe, spec.SentencePairPretraining) else self.recipe
        return self.head is None or isinstance(getattr(recipe, "read", None), spec.Pooled)

    @property
    def parts(self) -> tuple[str, ...]:
        """Which stacks of an encoder-decoder are built."""
        match getattr(self.recipe, "read", None):
            case spec.EncoderTokens():
                return ("encoder",)
            case spec.DecoderTokens():
                return ("decoder",)
        return spec.SIDES

    @property
    def targets(self) -> tuple[str, ...]:
        """The arguments that carry labels."""
        return () if self.head is None else self.head.targets_of(self.recipe)

    @property
    def lm(self) -> spec.Vocabulary | None:
        """The language model in the head, where there is one."""
        recipe = self.recipe
        if isinstance(recipe, spec.SentencePairPretraining):
            recipe = recipe.lm or spec.Vocabulary()
        return recipe if isinstance(recipe, spec.Vocabulary) else None

    def tie(self, config: PreTrainedConfig) -> str:
        """Is the output layer's weight the token table's: "always", "never" or "if_absent"?"""
        if self.lm is None:
            return "never"
        return self.lm.tie or ("always" if config.tie_word_embeddings else "never")

    def was_tied(self, config: PreTrainedConfig, name: str) -> bool:
        """Was a file without an output layer saved by the class ``name``, so that it must have been the token table?

        Configs leave ``tie_word_embeddings`` out where it was the default of the class that saved them.
        """
        saved = any(own == name or own.endswith("ForConditionalGeneration") for own in config.architectures or ())
        return saved and self.lm is not None and self.lm.tie is None


def plan(family: Family, task: str, config: PreTrainedConfig) -> Plan:
    """Put together what ``family`` says of ``config`` and what ``task`` needs.

    Raises:
        ConfigError: the head makes no sense on a backbone of this kind.
    """
    backbone, names = _backbone(family, config), family.names(config)
    if task == BASE:
        return Plan(backbone, None, None, names, translation(names, BASE, {}))
    head = TASKS[task]
    recipe = recipe_for(family, task, config, backbone)
    if recipe is None:
        raise ConfigError(
            f"Unrecognized configuration class {type(config).__name__} for {head.suffix}: a {family.title} backbone "
            f"takes {', '.join(TASKS[other].suffix for other in tasks_of(family))}."
        )
    part = part_for(head, backbone)
    if part is not None:
        backbone, names = getattr(backbone, part), names.part(part)
    rows = names.heads.get(task) or names.heads.get(head.like or "")
    return Plan(backbone, head, recipe, names, translation(names, task, head.names(recipe) if rows is None else rows))


def _backbone(family: Family, config: PreTrainedConfig) -> spec.Backbone:
    """The backbone's spec; raises ``ConfigError``, naming the field where one is of another type than its default."""
    position = getattr(config, "position_embedding_type", None)
    if str(position).startswith("relative_key"):  # Shaw et al. 2018: loading without it would give other results
        raise ConfigError(
            f"{type(config).__name__}.position_embedding_type is {position!r}, which headway does not have; take a "
            "checkpoint with 'absolute' positions."
        )
    try:
        return family.architecture(config)
    except HeadwayError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        name = type(config).__name__
        for field, default in config._fields.items():
            value, number = getattr(config, field), isinstance(default, int | float)
            if default is not None and not isinstance(value, int | float if number else type(default)):
                raise ConfigError(f"{name}.{field} is {value!r}, of which no network can be made.") from error
        raise ConfigError(f"No network can be made of this {name}: {error}.") from error


def recipe_for(family: Family, task: str, config: PreTrainedConfig, backbone: spec.Backbone) -> Any:
    """The family's own recipe for ``task``, else that of the backbone's kind, else None."""
    own = family.heads(config)
    if task in own:
        return own[task]
    head = TASKS[task]
    return head.recipe(backbone, config, own) if isinstance(backbone, head.kinds) else None


def part_for(head: type[Task], backbone: spec.Backbone) -> str | None:
    """Which tower of two a head reads that makes sense on one alone; None where it reads the whole backbone."""
    if not isinstance(backbone, spec.TwoTowers) or isinstance(backbone, head.kinds):
        return None
    return "vision" if isinstance(backbone.vision, head.kinds) else "text"


def tasks_of(family: Family) -> tuple[str, ...]:
    """Every task that the family's backbone takes a head for, in the order of their table."""
    config = family.config()
    backbone = family.architecture(config)
    return tuple(task for task in TASKS if recipe_for(family, task, config, backbone) is not None)


def canonical_task(family: Family, task: str) -> str:
    """``task``, or the one that stands for it.

    Pretraining and masked language modelling may be the family's LM; two towers are nothing without the comparison.
    """
    if task == BASE and isinstance(family.architecture(family.config()), spec.TwoTowers):
        return Contrast.task
    if task in ("pretraining", "masked-lm") and task not in tasks_of(family):
        for other in ("masked-lm", "seq2seq-lm", "causal-lm"):
            if other in tasks_of(family) and (task == "pretraining" or other == "seq2seq-lm"):
                return other
    return task
