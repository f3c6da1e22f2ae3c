"""headway: any pretrained transformer backbone with any head.

Names are looked up when they are first asked for, so ``import headway`` costs next to nothing. Besides those below
there are the classes of every family and head, such as ``BertConfig`` and ``BertForSequenceClassification``, and other
names that the field has for some of them (``aliases``).
"""

from __future__ import annotations

import importlib
from typing import Any

from headway.aliases import ALIASES
from headway.collection import collection_paused

__version__ = "0.1.0"

_HOMES = {
    "headway.adapters.add": ("add_adapter",),
    "headway.adapters.config": ("LoraConfig",),
    "headway.adapters.load": ("load_adapter",),
    "headway.adapters.merge": ("merge_adapter", "merge_and_unload", "unmerge_adapter"),
    "headway.adapters.save": ("save_adapter",),
    "headway.auto.config": ("AutoConfig",),
    "headway.auto.model": (
        "AutoModel",
        "AutoModelForCausalLM",
        "AutoModelForImageClassification",
        "AutoModelForMaskedLM",
        "AutoModelForMultipleChoice",
        "AutoModelForNextSentencePrediction",
        "AutoModelForPreTraining",
        "AutoModelForQuestionAnswering",
        "AutoModelForSeq2SeqLM",
        "AutoModelForSequenceClassification",
        "AutoModelForTokenClassification",
        "AutoModelForZeroShotImageClassification",
    ),
    "headway.auto.processor": ("AutoProcessor", "Processor"),
    "headway.auto.tokenizer": ("AutoTokenizer",),
    "headway.config": ("PreTrainedConfig", "PretrainedConfig"),
    "headway.errors": (
        "CheckpointError",
        "ConfigError",
        "ExportError",
        "HeadwayError",
        "InputError",
        "MissingExtraError",
        "NonFiniteError",
        "TokenizerError",
        "WeightsError",
    ),
    "headway.generation.config": ("GenerationConfig",),
    "headway.generation.grammar": ("Choices", "Grammar", "JsonSchema", "Lark", "Regex"),
    "headway.generation.processors": (
        "EncoderNoRepeatNGramLogitsProcessor",
        "EncoderRepetitionPenaltyLogitsProcessor",
        "ExponentialDecayLengthPenalty",
        "ForcedBOSTokenLogitsProcessor",
        "ForcedEOSTokenLogitsProcessor",
        "InfNanRemoveLogitsProcessor",
        "LogitNormalization",
        "LogitsProcessor",
        "LogitsProcessorList",
        "MinLengthLogitsProcessor",
        "MinNewTokensLengthLogitsProcessor",
        "NoBadWordsLogitsProcessor",
        "NoRepeatNGramLogitsProcessor",
        "PrefixConstrainedLogitsProcessor",
        "RepetitionPenaltyLogitsProcessor",
        "SequenceBiasLogitsProcessor",
        "SuppressTokensAtBeginLogitsProcessor",
        "SuppressTokensLogitsProcessor",
    ),
    "headway.generation.stopping": (
        "EosTokenCriteria",
        "MaxLengthCriteria",
        "MaxTimeCriteria",
        "StopStringCriteria",
        "StoppingCriteria",
        "StoppingCriteriaList",
    ),
    "headway.generation.streamers": (
        "AsyncTextIteratorStreamer",
        "TextIteratorStreamer",
        "TextStreamer",
    ),
    "headway.generation.warpers": (
        "EpsilonLogitsWarper",
        "EtaLogitsWarper",
        "MinPLogitsWarper",
        "TemperatureLogitsWarper",
        "TopKLogitsWarper",
        "TopNSigmaLogitsWarper",
        "TopPLogitsWarper",
        "TypicalLogitsWarper",
    ),
    "headway.inspection": ("Inspection", "inspect_model"),
    "headway.io.report": ("LoadReport",),
    "headway.models.pretrained": ("PreTrainedModel", "PretrainedModel"),
    "headway.nn.cache": ("Cache", "QuantizedCache"),
    "headway.onnx.config": ("OnnxConfig",),
    "headway.onnx.export": ("export_onnx",),
    "headway.onnx.report": ("OnnxReport",),
    "headway.outputs": ("ModelOutput",),
    "headway.pipelines": ("PIPELINE_REGISTRY", "Pipeline", "pipeline"),
    "headway.progress": ("disable_progress_bar", "enable_progress_bar", "is_progress_bar_enabled"),
    "headway.quant.error": ("QuantizationError", "quantization_error"),
    "headway.processing.images": ("AutoImageProcessor", "ImageProcessor"),
    "headway.registry": ("Family", "register"),
    "headway.tokenization.encoding": ("BatchEncoding",),
    "headway.tokenization.tokenizer": ("Tokenizer",),
    "headway.training.arguments": ("Seq2SeqTrainingArguments", "TrainingArguments"),
    "headway.training.callbacks": ("EarlyStoppingCallback", "TrainerCallback"),
    "headway.training.card": ("ModelCard",),
    "headway.training.job": ("TrainJob",),
    "headway.training.randomness": ("set_seed",),
    "headway.training.reporting": (
        "JsonLinesCallback",
        "PrinterCallback",
        "ProgressCallback",
        "TensorBoardCallback",
    ),
    "headway.training.report": ("TrainReport",),
    "headway.training.seq2seq": ("Seq2SeqTrainer",),
    "headway.training.state": ("EvalPrediction", "TrainerControl", "TrainerState", "TrainOutput"),
    "headway.training.trainer": ("Trainer",),
    "headway.training.collators": (
        "DataCollatorForLanguageModeling",
        "DataCollatorForMultipleChoice",
        "DataCollatorForSeq2Seq",
        "DataCollatorForTokenClassification",
        "DataCollatorForWholeWordMask",
        "DataCollatorWithFlattening",
        "DataCollatorWithPadding",
        "DefaultDataCollator",
        "default_data_collator",
    ),
    "headway.training.lion": ("Lion",),
    "headway.training.parameters": ("freeze",),
    "headway.training.schedules": (
        "get_constant_schedule",
        "get_constant_schedule_with_warmup",
        "get_cosine_schedule_with_warmup",
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        "get_cosine_with_min_lr_schedule_with_warmup",
        "get_inverse_sqrt_schedule",
        "get_linear_schedule_with_warmup",
        "get_polynomial_decay_schedule_with_warmup",
        "get_scheduler",
        "get_wsd_schedule",
    ),
    "headway.logging": (
        "get_verbosity",
        "set_verbosity",
        "set_verbosity_debug",
        "set_verbosity_error",
        "set_verbosity_info",
        "set_verbosity_warning",
    ),
    "headway.views.attention": ("AttentionView", "attention_view"),
    "headway.views.hidden": ("HiddenStatesView", "hidden_states_view"),
    "tokenizers": ("AddedToken",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name in _HOME or name in ALIASES:
        module, own = (_HOME[name], name) if name in _HOME else ALIASES[name]
        with collection_paused():
            value = getattr(importlib.import_module(module), own)
    elif name[:1].isupper():
        value = _family_class(name)
    elif name == "logging":
        value = importlib.import_module("headway.logging")
    else:
        raise AttributeError(f"module 'headway' has no attribute {name!r}")
    globals()[name] = value
    return value


def _family_class(name: str) -> Any:
    """A family's config, its graphs' config, or its backbone with a head, by class name."""
    from headway.errors import did_you_mean
    from headway.registry import families

    configs = {family.config.__name__: family.config for family in families().values()}
    if name in configs:
        return configs[name]
    if name.endswith("OnnxConfig"):
        graphs = importlib.import_module("headway.onnx.config").find_onnx_config(name)
        if graphs is not None:
            return graphs
    from headway.models.assemble import base_class, model_class
    from headway.models.classes import class_names, find_class

    found = find_class(name)
    if found is not None:
        return model_class(*found)
    for family in families().values():
        if name == f"{family.title}PreTrainedModel":
            return base_class(family.model_type)
    raise AttributeError(
        f"module 'headway' has no attribute {name!r}.{did_you_mean(name, [*_HOME, *ALIASES, *configs, *class_names()])}"
    )


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
