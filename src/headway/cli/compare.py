"""``headway compare``: do two checkpoints give the same outputs?"""

from __future__ import annotations

from typing import Any

import click

from headway.cli.show import as_json, table
from headway.errors import InputError

TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "In 1969 the first people walked on the moon, and 600 million watched them.",
    "def f(x): return x + 1",
)
EXAMPLES = """
\b
Examples:
  headway compare ./before ./after
  headway compare some/model ./some-model-int8 --tolerance 0.1
  headway compare ./a ./b --text "Is it the same?" --json
"""


@click.command(epilog=EXAMPLES)
@click.argument("a")
@click.argument("b")
@click.option("--text", "texts", multiple=True, help="A text to compare outputs for; may be repeated.")
@click.option("--task", help="Compare with this head, such as masked-lm; by default that of A.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Largest difference that counts as none, as a share of the largest output where that is above 1.",
)
@click.option("--dtype", default="float32", show_default=True, help="Run both in this type.")
@click.option("--json", "json_", is_flag=True, help="Print one JSON document.")
@click.pass_context
def compare(ctx: click.Context, /, a: str, b: str, texts: tuple[str, ...], json_: bool, **options: Any) -> None:
    """Run the checkpoints A and B on the same inputs and show how far their outputs are from each other.

    Leaves with 0 if they are equal within the tolerance, and with 1 if not.
    """
    found = compare_checkpoints(a, b, texts or TEXTS, **options)
    equal = all(row["equal"] for row in found)
    if json_:
        click.echo(as_json({"equal": equal, "outputs": found}, indent=True))
    else:
        click.echo(table({name: _shown(value) for name, value in row.items()} for row in found))
        click.echo("equal within the tolerance" if equal else "not equal")
    ctx.exit(0 if equal else 1)


def _shown(value: Any) -> Any:
    """A cell for people."""
    return {True: "yes", False: "no", None: ""}[value] if value is None or isinstance(value, bool) else value


def compare_checkpoints(
    a: str, b: str, texts: tuple[str, ...], *, task: str | None, tolerance: float, dtype: str
) -> list[dict[str, Any]]:
    """A row for each output: the largest difference, and how often both have the same highest value."""
    import torch

    from headway.cli.load import load_as_saved, tokenizer_of
    from headway.tasks import TASKS

    if task is not None and task not in TASKS:
        raise InputError(f"There is no head {task!r}; `headway families` lists them.")
    one = load_as_saved(a, task, dtype=dtype)
    other = load_as_saved(b, one.task, dtype=dtype)
    rows = []
    tokenizers = [tokenizer_of(name) for name in (a, b)]
    if None not in tokenizers:
        ids = [[tokenizer(text)["input_ids"] for text in texts] for tokenizer in tokenizers]
        rows.append({"output": "token ids", "equal": ids[0] == ids[1], "difference": None, "same choice": None})
    inputs = inputs_for(one, tokenizers[0], texts)
    with torch.inference_mode():
        outputs = [model(**inputs) for model in (one, other)]
    for name, value in outputs[0].items():
        its = outputs[1].get(name)
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            rows.append(_row(name, value, its, tolerance))
    return rows


def _row(name: str, one: Any, other: Any, tolerance: float) -> dict[str, Any]:
    import torch

    if not isinstance(other, torch.Tensor) or one.shape != other.shape:
        return {"output": name, "equal": False, "difference": None, "same choice": None}
    difference = float((one.double() - other.double()).abs().max())
    bound = tolerance * max(1.0, float(one.abs().max()))
    same = float((one.argmax(-1) == other.argmax(-1)).double().mean()) if one.dim() and one.shape[-1] > 1 else None
    return {"output": name, "equal": difference <= bound, "difference": difference, "same choice": same}


def inputs_for(model: Any, tokenizer: Any, texts: tuple[str, ...]) -> dict[str, Any]:
    """Inputs that ``model`` takes: ``texts``, or token ids without a meaning where there is no tokenizer; an image."""
    import torch

    generator = torch.Generator().manual_seed(0)
    config, found = model.config, {}
    backbone = model.plan.backbone
    vision = getattr(backbone, "vision", backbone)
    if (patches := getattr(getattr(vision, "stack", None), "embed", None)) is not None and hasattr(patches, "patch"):
        found["pixel_values"] = torch.randn(len(texts), patches.channels, *patches.image, generator=generator)
        if vision is backbone:
            return found
    if tokenizer is None:
        count = config.get_text_config().vocab_size
        found["input_ids"] = torch.randint(count, (len(texts), 12), generator=generator)
    else:
        if tokenizer.pad_token is None:
            texts = (min(texts, key=len),)  # rows of one length are padded nowhere
        encoded = tokenizer(list(texts), padding=tokenizer.pad_token is not None, truncation=True, return_tensors="pt")
        found |= {name: encoded[name] for name in ("input_ids", "attention_mask", "token_type_ids") if name in encoded}
    if model.task == "multiple-choice":
        found = {name: value[None] for name, value in found.items()}
    if model.task == "seq2seq-lm":
        found["decoder_input_ids"] = found["input_ids"][:, :4]
    return found
