"""Names of the field for what headway has one class of, or keeps elsewhere: each tokenizer is a ``Tokenizer``."""

from __future__ import annotations

_TOKENIZERS = (
    *("Albert", "Bart", "Bert", "BigBird", "Bloom", "ByT5", "CLIP", "Camembert", "CodeGen", "CodeLlama", "ConvBert"),
    *("Deberta", "DebertaV2", "DistilBert", "Electra", "Esm", "FNet", "Funnel", "GPT2", "GPTNeoX", "Gemma", "Llama"),
    *("M2M100", "MBart", "MBart50", "MPNet", "MT5", "Marian", "MobileBert", "Nllb", "Pegasus", "PreTrained", "Qwen2"),
    *("RemBert", "Roberta", "Splinter", "SqueezeBert", "T5", "XLMRoberta", "XLNet"),
)
_IMAGE_PROCESSORS = ("Base", "Beit", "Bit", "CLIP", "ConvNext", "DeiT", "Siglip", "ViT")
_PROCESSORS = ("CLIP", "Siglip")
_PIPELINES = {
    stem: stem.title().replace("_", "")
    for stem in (
        *("feature_extraction", "fill_mask", "image_classification", "image_feature_extraction", "question_answering"),
        *("summarization", "text2text_generation", "text_classification", "text_generation", "token_classification"),
        *("translation", "zero_shot_classification", "zero_shot_image_classification"),
    )
}

# Each name to the module and the name of what it stands for.
ALIASES: dict[str, tuple[str, str]] = {
    "PreTrainedTokenizerBase": ("headway.tokenization.tokenizer", "Tokenizer"),
    **{
        f"{stem}Tokenizer{fast}": ("headway.tokenization.tokenizer", "Tokenizer")
        for stem in _TOKENIZERS
        for fast in ("", "Fast")
    },
    **{
        f"{stem}ImageProcessor{fast}": ("headway.processing.images", "ImageProcessor")
        for stem in _IMAGE_PROCESSORS
        for fast in ("", "Fast")
    },
    **{f"{stem}Processor": ("headway.auto.processor", "Processor") for stem in _PROCESSORS},
    **{f"{title}Pipeline": (f"headway.pipelines.{stem}", f"{title}Pipeline") for stem, title in _PIPELINES.items()},
}
