"""``Pipeline``: what those of all tasks have in common: the table of tasks, and how they are called."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, ClassVar

from headway.errors import InputError, did_you_mean
from headway.pipelines.device import place_of
from headway.pipelines.options import Options
from headway.pipelines.steps import FLAGS, STEPS, StepOptions, in_steps, names_of

# Items that are worked on at once: enough to sort by length, few enough that memory does not grow with the input.
AT_ONCE = 1024
STREAMED_AT_ONCE = 256

PIPELINES: dict[str, type[Pipeline]] = {}


class Pipeline:
    """A model with all that turns a user's input into its inputs, and its outputs into answers.

    A subclass with a ``task`` is entered in the table of tasks. It defines ``run``, or ``preprocess``, ``_forward`` and
    ``postprocess``, by which one input after the other is answered, and ``_sanitize_parameters``, which takes all
    options and returns those of each step, as pipelines of the field do.

    Args:
        model: a model with the head of the task.
        tokenizer: the tokenizer of the model.
        image_processor: what makes images the model's inputs.
        device: where the model is to run, as ``pipeline`` takes it; left out, where it is.
        **options: the task's options, for every call that does not say otherwise.

    Attributes:
        task: its name; ``aliases`` are others, and ``pattern`` matches names that say options too, by its groups.
        auto: the class that loads its models, or the name of an Auto class.
        parts: what it needs beside the model, and loads from the checkpoint where it is not given.
        reads: the name of the model's input, which tells tasks of bare backbones apart.
        summary: what it does, in one line.
        Options: its options, a frozen dataclass.
        main: what an input is, on the command line; ``besides`` are further parts of one, with their help.
        told_by_head: does a model's head tell that this is its task?
        by_line: are files read line by line, rather than whole?
        load_with: arguments for the model's class where that takes them.
        default: the hub id and revision of the model where none is named and none comes with headway.
    """

    task: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    pattern: ClassVar[str] = ""
    auto: ClassVar[Any]
    parts: ClassVar[tuple[str, ...]] = ("tokenizer",)
    reads: ClassVar[str] = "input_ids"
    summary: ClassVar[str] = ""
    Options: ClassVar[type[Options]] = StepOptions
    main: ClassVar[str] = "text"
    besides: ClassVar[Mapping[str, str]] = {}
    told_by_head: ClassVar[bool] = True
    by_line: ClassVar[bool] = True
    load_with: ClassVar[Mapping[str, Any]] = {}
    default: ClassVar[tuple[str, str | None] | None] = None

    def __init_subclass__(cls) -> None:
        if "task" in cls.__dict__:
            PIPELINES[cls.task] = cls
        if "_sanitize_parameters" in cls.__dict__:
            known = names_of(cls._sanitize_parameters)
            cls.Options = type("Options", (StepOptions,), {"further": known or (), "any_other": known is None})
        if not FLAGS.keys().isdisjoint(cls.__dict__):
            cls.parts = tuple(part for flag, part in FLAGS.items() if cls.__dict__.get(flag))
        if cls.run is not Pipeline.run and (steps := [name for name in STEPS if name in cls.__dict__]):
            base = next(base.__name__ for base in cls.__mro__ if "run" in base.__dict__)
            raise TypeError(f"{cls.__name__} defines {steps[0]}, but a {base} does not run in steps; override answer.")

    def __init__(
        self, model: Any, tokenizer: Any = None, image_processor: Any = None, device: Any = None, **options: Any
    ) -> None:
        self.model = model if device is None else model.to(place_of(device))
        self.tokenizer = tokenizer
        self.image_processor = image_processor
        self.options = self.options_from(type(self).Options(), options)

    @property
    def device(self) -> Any:
        """Where the model is."""
        return self.model.device

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Answer one input, several, or a stream of them.

        Args:
            inputs: one input (a text or a dictionary); a list of them; or any other iterable.
            **options: in place of the pipeline's own.

        Returns:
            One answer; of a list, or another sequence such as a column of a data set, a list of answers in its order;
            of any other iterable an iterator over them, which reads ahead no more than it needs.

        Raises:
            InputError: an input is not of the task's kind, or an option is unknown.
        """
        chosen = self.options_from(self.options, options)
        if self.is_one(inputs):
            return self.run([inputs], chosen)[0]
        if isinstance(inputs, Sequence):
            return [answer for items in _slices(inputs) for answer in self.run(items, chosen)]
        return self._stream(iter(inputs), chosen)

    def is_one(self, inputs: Any) -> bool:
        """Is this one input, rather than several? So is what cannot be iterated."""
        kind = type(inputs)
        several = hasattr(kind, "__iter__") or hasattr(kind, "__getitem__")
        return isinstance(inputs, str | bytes | Mapping | os.PathLike) or not several

    def options_from(self, options: Any, values: Mapping[str, Any]) -> Any:
        """``options`` with ``values`` in the place of theirs."""
        return options.changed(values)

    def run(self, items: Sequence[Any], options: Any) -> list[Any]:
        """The answers to ``items``, in their order."""
        return in_steps(self, items, self._sanitize_parameters(**options.said))

    def _sanitize_parameters(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The arguments of ``preprocess``, ``_forward`` and ``postprocess`` that the options amount to."""
        return {}, {}, {}

    def preprocess(self, item: Any, **arguments: Any) -> Any:
        """The model's inputs for one input, tensors of one row."""
        raise TypeError(f"{type(self).__name__} does not say how it runs; define run, or preprocess and the others.")

    def _forward(self, inputs: Any, **arguments: Any) -> Any:
        """The model's outputs."""
        return self.model(**inputs, **arguments)

    def postprocess(self, outputs: Any, **arguments: Any) -> Any:
        """The answer, of the outputs on the CPU."""
        raise TypeError(f"{type(self).__name__} does not say what it answers; define postprocess.")

    def _stream(self, stream: Iterator[Any], options: Any) -> Iterator[Any]:
        # The first answer comes after the first input; later ones are worth waiting for to sort them by length.
        size = 1
        while items := list(islice(stream, size)):
            yield from self.run(items, options)
            size = min(2 * size, STREAMED_AT_ONCE)

    @classmethod
    def options_in(cls, task: str) -> dict[str, str]:
        """The options that a task's name says."""
        found = re.fullmatch(cls.pattern, task)
        return found.groupdict() if found else {}

    @classmethod
    def told(cls, options: Mapping[str, Any]) -> str:
        """The task, with what ``options`` say of it that not every model can do."""
        return cls.task

    @classmethod
    def options_of(cls, name: str, place: Mapping[str, Any]) -> dict[str, Any]:
        """The options that the files of the checkpoint ``name`` say."""
        return {}

    # --- the command line ------------------------------------------------------------------------------------------

    @classmethod
    def item(cls, main: str, **besides: str) -> Any:
        """One input, of what the command line was given."""
        return {cls.main: main, **besides} if besides else main

    def table(self, answer: Any) -> list[dict[str, Any]]:
        """An answer as the rows of a table, for people."""
        if isinstance(answer, Mapping):
            return [dict(answer)]
        return [row for part in answer for row in self.table(part)]

    def __repr__(self) -> str:
        name = getattr(self.model.config, "name_or_path", "") or type(self.model).__name__
        return f"{type(self).__name__}({name!r}, device={str(self.device)!r})"


def _slices(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


@cache
def _import_tasks() -> None:
    import headway.pipelines as package

    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def pipelines() -> dict[str, type[Pipeline]]:
    """Every pipeline by its task."""
    _import_tasks()
    return dict(sorted(PIPELINES.items()))


def names() -> dict[str, type[Pipeline]]:
    """Every pipeline by its task and by the other names of that."""
    known = pipelines()
    return {alias: kind for kind in known.values() for alias in kind.aliases} | known


def named(task: str) -> type[Pipeline] | None:
    """The pipeline of ``task``, under whatever name; None if there is none."""
    found = (kind for kind in pipelines().values() if kind.options_in(task))
    return names().get(task) or next(found, None)


def find_pipeline(task: str) -> type[Pipeline]:
    """The pipeline of ``task``, under whatever name; raises ``InputError`` with the nearest name for none."""
    kind = named(task)
    if kind is None:
        raise InputError(f"There is no task {task!r}.{did_you_mean(task, names())} There are {', '.join(pipelines())}.")
    return kind
