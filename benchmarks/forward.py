"""Forward passes of BERT: fixed shapes, the framework's own cost on a tiny model, and ragged batches.

    python benchmarks/forward.py

Random weights: speed does not depend on them. Logits of both libraries are compared on the way.
"""

from __future__ import annotations

import tempfile

import torch
import transformers
from common import in_turn, machine, row

import headway

TINY = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}


def pair(**fields: int) -> tuple[torch.nn.Module, torch.nn.Module]:
    """headway's model and the peer's, of the same random weights."""
    torch.manual_seed(0)
    theirs = transformers.BertForSequenceClassification(transformers.BertConfig(**fields)).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = headway.AutoModelForSequenceClassification.from_pretrained(folder)
    return ours, theirs


def batches(count: int, size: int) -> list[dict[str, torch.Tensor]]:
    """``count`` sentences of lognormal length (median about 24, at most 256), padded in arrival order by ``size``."""
    generator = torch.Generator().manual_seed(0)
    lengths = (torch.randn(count, generator=generator) * 0.9 + 3.2).exp().clamp(4, 256).long().tolist()
    found = []
    for start in range(0, count, size):
        part = lengths[start : start + size]
        mask = torch.arange(max(part))[None] < torch.tensor(part)[:, None]
        ids = torch.randint(5, 30000, mask.shape, generator=generator)
        found.append({"input_ids": ids * mask, "attention_mask": mask.long()})
    return found


@torch.inference_mode()
def main() -> None:
    print(machine())
    ours, theirs = pair(**TINY)
    ids = torch.randint(5, 30000, (1, 16))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    row("BERT 4 layers, 128 wide, 1 x 16", *in_turn(lambda: ours(**inputs), lambda: theirs(**inputs), 15, 100))
    ours, theirs = pair()
    for rows, width, rounds in ((1, 16, 25), (1, 128, 15), (8, 128, 5)):
        ids = torch.randint(5, 30000, (rows, width))
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        row(f"BERT-base fp32, {rows} x {width}", *in_turn(lambda: ours(**inputs), lambda: theirs(**inputs), rounds))  # noqa: B023
    ragged = batches(256, 32)
    worst = max(float((ours(**batch).logits - theirs(**batch).logits).abs().max()) for batch in ragged)
    seconds = in_turn(lambda: [ours(**batch) for batch in ragged], lambda: [theirs(**batch) for batch in ragged], 3)
    row("BERT-base fp32, 256 ragged sentences", *seconds, 1, "s")
    print(f"largest difference of a logit: {worst:.1e}")


if __name__ == "__main__":
    main()
