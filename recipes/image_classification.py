"""The small model for image-classification: which digit did somebody write?"""

from __future__ import annotations

import random

import numpy as np
from common import arguments, card, save, train
from PIL import Image, ImageOps
from sklearn.datasets import load_digits

from headway import ImageProcessor, ViTConfig, ViTForImageClassification, default_data_collator, pipeline

SIDE = 16
# Every sixth image is kept from training.
KEPT = 6


def picture(pixels: np.ndarray) -> Image.Image:
    """One of the collection's images of 8 x 8 in 17 shades, as a picture, white on black."""
    return Image.fromarray((pixels * (255 / 16)).astype(np.uint8))


def varied(image: Image.Image, chance: random.Random) -> Image.Image:
    """The digit as others might have drawn, framed or scanned it."""
    size = chance.randint(24, 64)
    image = image.resize((size, size), chance.choice((Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)))
    frame = chance.randint(0, size // 3)
    image = ImageOps.expand(image, tuple(chance.randint(0, frame) for _ in range(4)))
    image = image.rotate(chance.uniform(-12, 12), Image.Resampling.BILINEAR)
    image = image.point(
        [min(255, int(value * stretch)) for stretch in (chance.uniform(0.7, 1.6),) for value in range(256)]
    )
    # Ink on paper as well as chalk on a board.
    return ImageOps.invert(image) if chance.random() < 0.5 else image


def main() -> None:
    chosen = arguments("image-classification", 3000, __doc__)
    chance = random.Random(chosen.seed)
    digits = load_digits()
    every = [(picture(pixels), int(label)) for pixels, label in zip(digits.images, digits.target, strict=True)]
    kept = every[::KEPT]
    examples = [case for number, case in enumerate(every) if number % KEPT]
    size = {"height": SIDE, "width": SIDE}
    processor = ImageProcessor(
        image_processor_type="ViTImageProcessor", size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=2
    )
    config = ViTConfig(
        image_size=SIDE,
        patch_size=4,
        hidden_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=128,
        id2label={digit: str(digit) for digit in range(10)},
        initializer_range=0.05,
    )
    model = ViTForImageClassification(config)
    rows = []
    for _ in range(12):
        pixels = processor([varied(image, chance) for image, _ in examples])["pixel_values"]
        rows += [{"pixel_values": one, "labels": label} for one, (_, label) in zip(pixels, examples, strict=True)]
    train(model, rows, chosen.steps, default_data_collator, smoothing=0.1)
    classify = pipeline("image-classification", model, image_processor=processor)

    def accuracy(images: list[Image.Image]) -> float:
        answers = classify(images, top_k=1)
        return sum(a[0]["label"] == str(label) for a, (_, label) in zip(answers, kept, strict=True)) / len(kept)

    metrics = {
        "accuracy, images of the collection": accuracy([image for image, _ in kept]),
        "accuracy, the same as dark ink on white": accuracy([ImageOps.invert(image) for image, _ in kept]),
        "accuracy, the same turned, moved and scaled": accuracy([varied(image, chance) for image, _ in kept]),
    }
    what = (
        "It says which digit is in a picture, white on black or black on white. The digits are the 1,797 of the UCI "
        "collection of handwritten digits that comes with scikit-learn."
    )
    cannot = "It knows digits that fill most of the picture, and calls everything else a digit too."
    data = "these images, turned, moved, scaled and inverted by `recipes/{recipe}`."
    kept_out = f"Held out is every {KEPT}th image of the collection."
    text = card("image-classification", what, metrics, cannot, chosen.steps, "image_classification.py", data, kept_out)
    save(chosen.out, model, processor, text)


if __name__ == "__main__":
    main()
