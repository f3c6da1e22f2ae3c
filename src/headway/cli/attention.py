"""``headway attention``: the attention maps of a model on a text, as a page or a picture."""

from __future__ import annotations

import click

EXAMPLES = """
\b
Examples:
  headway attention bert-base-uncased "The cat sat on the mat." --output cat.html
  headway attention ./my-model "The cat sat." --layer 3 --head 5 -o map.svg
"""


@click.command(epilog=EXAMPLES)
@click.argument("model")
@click.argument("text")
@click.option("--pair", help="A second text, read with the first.")
@click.option("--target", help="What the decoder of an encoder-decoder writes; by default what it writes itself.")
@click.option("--layer", "layers", type=int, multiple=True, help="A layer, from 0; may be repeated. By default all.")
@click.option("--head", "heads", type=int, multiple=True, help="A head, from 0; may be repeated. By default all.")
@click.option("--revision", help="Branch, tag or commit of the repo.")
@click.option("-o", "--output", default="attention.html", show_default=True, help="An .html, .svg or .png file.")
def attention(
    model: str,
    text: str,
    pair: str | None,
    target: str | None,
    layers: tuple[int, ...],
    heads: tuple[int, ...],
    revision: str | None,
    output: str,
) -> None:
    """Draw what MODEL (a folder, or the id of a repo on the hub) attends to in TEXT.

    A page (.html) lets you explore all layers and heads; it needs no network. A picture of one --layer and one --head
    shows the tokens, one of several shows small maps.
    """
    from headway.auto.config import AutoConfig
    from headway.auto.model import AutoModel, AutoModelForSeq2SeqLM
    from headway.auto.tokenizer import AutoTokenizer
    from headway.views.attention import attention_view

    config = AutoConfig.from_pretrained(model, revision=revision)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModel
    view = attention_view(
        auto.from_pretrained(model, config=config, revision=revision),
        AutoTokenizer.from_pretrained(model, revision=revision),
        text,
        pair,
        target,
        layers=layers or None,
        heads=heads or None,
    )
    view.save(output)
    click.echo(output)
