"""The oracle: tiny random models of transformers, and the same checkpoints loaded by headway.

Nothing here names a family but the listed deviations: a family that is registered is tested by its being there.
"""

from __future__ import annotations

import copy
import os
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file
from torch.nn import functional as F
from transformers.models.auto import modeling_auto
from transformers.models.falcon.modeling_falcon import FalconAttention

from headway import spec
from headway.config import PreTrainedConfig
from headway.models.assemble import model_class
from headway.models.encoder_decoder import EncoderDecoderModel
from headway.models.load import slots
from headway.models.plan import BASE, tasks_of
from headway.models.two_towers import TwoTowerModel
from headway.registry import families
from parity.variants import PLAIN, VARIANTS, Variant

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

MAPPINGS = {
    BASE: modeling_auto.MODEL_MAPPING_NAMES,
    "sequence-classification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "token-classification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "question-answering": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "masked-lm": modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "causal-lm": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "seq2seq-lm": modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    "multiple-choice": modeling_auto.MODEL_FOR_MULTIPLE_CHOICE_MAPPING_NAMES,
    "next-sentence-prediction": modeling_auto.MODEL_FOR_NEXT_SENTENCE_PREDICTION_MAPPING_NAMES,
    "pretraining": modeling_auto.MODEL_FOR_PRETRAINING_MAPPING_NAMES,
    "image-classification": modeling_auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    "zero-shot-image-classification": modeling_auto.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    "image-classification-with-teacher": {"deit": "DeiTForImageClassificationWithTeacher"},
    "projection": {
        "clip_text_model": "CLIPTextModelWithProjection",
        "clip_vision_model": "CLIPVisionModelWithProjection",
    },
}
# Backbones that transformers has, though AutoModel does not know them.
UNLISTED = {"siglip_text_model": "SiglipTextModel"}

# Heads whose causal loss transformers does not shift: it compares each token's logits with the token's own label.
# headway shifts every causal loss, so there the oracle's logits are put through a shifted loss.
UNSHIFTED = {(name, "causal-lm") for name in ("bart", "mbart", "marian", "pegasus")}

# Parameters that transformers stores and no pass of it reads: where embeddings are not tied, a bias beside the output
# layer's own and a table beside those of encoder and decoder, each with the name of what is read in its place; and a
# pooler that a head passes by. headway has them neither in the model nor in its files.
UNREAD = {
    **{f"{head}.bias": f"{head}.decoder.bias" for head in ("cls.predictions", "predictions", "lm_head")},
    **{f"{path}shared.weight": f"{path}decoder.embed_tokens.weight" for path in ("", "model.")},
}
UNREAD_UNDER = {
    ("clip", "image-classification"): "vision_model.post_layernorm.",
    ("siglip", "image-classification"): "vision_model.head.",
}

# Where transformers computes attention step by step, the one way that gives weights, it adds Falcon's ALiBi to the
# scores a second time: it is part of the mask already. Its other ways add it once, as Falcon was trained.
_twice = FalconAttention.forward


def _once(self: Any, hidden_states: torch.Tensor, alibi: torch.Tensor | None, *args: Any, **kwargs: Any) -> Any:
    return _twice(self, hidden_states, None if alibi is None else torch.zeros_like(alibi), *args, **kwargs)


FalconAttention.forward = _once

# And those that only a method beside the passes reads.
BESIDE = ("contact_head.",)

# Small values for the fields that configs have, whatever the family.
TINY: dict[str, Any] = {
    "vocab_size": 99,
    **dict.fromkeys(("hidden_size", "d_model", "dim", "n_embd", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layers", "n_layer", "num_layers", "encoder_layers"), 3),
    **dict.fromkeys(("decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_heads", "n_head", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "d_ff", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("max_position_embeddings", "n_positions"), 64),
    "num_key_value_heads": 2,
    **dict.fromkeys(("d_kv", "head_dim"), 8),
    "embedding_size": 16,
    "type_vocab_size": 3,
    "rotary_dim": 4,
    "attention_types": [[["global", "local", "local"], 1]],
    "window_size": 4,
    "mask_token_id": 4,
    **dict.fromkeys(("num_local_experts", "num_experts"), 4),
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 12,
    "shared_expert_intermediate_size": 20,
    "n_group": 4,
    "topk_group": 2,
    "first_k_dense_replace": 1,
    "kv_lora_rank": 12,
    "q_lora_rank": 10,
    "qk_nope_head_dim": 6,
    "qk_rope_head_dim": 8,
    "v_head_dim": 5,
    "state_size": 8,
    "n_groups": 2,
    "expand": 1,
    "chunk_size": 4,
    "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12,
    "projection_dim": 20,
    "image_size": 12,
    "patch_size": 4,
    **dict.fromkeys(("bos_token_id", "decoder_start_token_id"), 3),
    "pad_token_id": 1,
    "eos_token_id": 2,
    "id2label": {0: "A", 1: "B", 2: "C"},
}
# Values of one family: transformers' MPNet has that many buckets, whatever the config says.
OWN: dict[str, dict[str, Any]] = {"mpnet": {"relative_attention_num_buckets": 32}}
# Set even where a family's default is None.
ALWAYS = (
    *("id2label", "num_key_value_heads", "num_decoder_layers", "num_experts_per_tok"),
    *("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"),
)


@dataclass(frozen=True)
class Cell:
    """A family, a task, and a variant of the config."""

    model_type: str
    task: str
    variant: str = "plain"

    def __str__(self) -> str:
        return f"{self.model_type}-{self.task}-{self.variant}"

    @property
    def setting(self) -> Variant:
        """What the variant changes."""
        return PLAIN if self.variant == "plain" else VARIANTS[self.model_type][self.variant]

    @property
    def values(self) -> dict[str, Any]:
        """The fields of the cell's config."""
        values = tiny(self.model_type, **self.setting.values)
        if self.task in ("question-answering", "pretraining"):
            # transformers sizes these heads by the number of labels, which is two in all files.
            values |= {"id2label": {0: "A", 1: "B"}, "label2id": {"A": 0, "B": 1}}
        if self.task == "causal-lm" and "is_decoder" in families()[self.model_type].config._fields:
            values["is_decoder"] = True
        return values

    @property
    def is_causal(self) -> bool:
        """Does headway's model write text, each token seeing only those before it?"""
        kind = model_class(self.model_type, self.task)
        if self.has_encoder_and_decoder:
            return True
        with torch.device("meta"):
            return bool(getattr(kind(kind.config_class(**self.values)), "is_causal", False))

    @property
    def attends(self) -> bool:
        """Has the stack that writes attention weights to show?"""
        backbone = families()[self.model_type].architecture(families()[self.model_type].config(**self.values))
        stack = backbone.decoder if isinstance(backbone, spec.EncoderDecoder) else backbone.stack
        return any(not isinstance(spec.mixer_of(layer), spec.StateSpace) for layer in stack.layers)

    @property
    def sees(self) -> bool:
        """Is its input an image?"""
        return model_class(self.model_type, self.task).main_input_name == "pixel_values"

    @property
    def compares(self) -> bool:
        """Are its inputs texts and images?"""
        return issubclass(model_class(self.model_type, self.task), TwoTowerModel)

    @property
    def reads(self) -> bool:
        """Is its input text alone?"""
        return not (self.sees or self.compares)

    @property
    def has_loss(self) -> bool:
        """Has its head an objective, in the oracle too?"""
        return self.task not in (BASE, "projection", "image-classification-with-teacher")

    @property
    def call(self) -> dict[str, Any]:
        """What is passed to its model besides the inputs and labels."""
        return self.setting.call | ({"return_loss": True} if self.compares and self.has_loss else {})

    @property
    def has_encoder_and_decoder(self) -> bool:
        """Does headway's model run both stacks?"""
        return issubclass(model_class(self.model_type, self.task), EncoderDecoderModel)


def tiny(model_type: str, **overrides: Any) -> dict[str, Any]:
    """Field values of a tiny config of ``model_type``, without dropout."""
    fields = families()[model_type].config._fields
    values = {name: TINY[name] for name in fields if name in TINY and (fields[name] is not None or name in ALWAYS)}
    values |= {name: 0.0 for name in fields if "drop" in name and not isinstance(fields[name], bool)}
    if "kv_lora_rank" in fields:  # latent attention makes keys for every head
        values["num_key_value_heads"] = values["num_attention_heads"]
    for name, default in fields.items():
        if isinstance(default, PreTrainedConfig):
            nested = tiny(default.model_type)
            values[name] = {key: value for key, value in nested.items() if key not in ("id2label", "label2id")}
            values[name] |= overrides.pop(name, {})
    values["label2id"] = {label: index for index, label in values["id2label"].items()}
    return values | OWN.get(model_type, {}) | overrides


# --- which cells there are ----------------------------------------------------------------------------------------


def our_cells() -> list[Cell]:
    """Every family of the registry with every head that it takes, and with none."""
    return [Cell(name, task) for name, family in families().items() for task in (BASE, *tasks_of(family))]


def cells() -> list[Cell]:
    """Those that transformers has too."""
    return [cell for cell in our_cells() if oracle_class(cell)]


def variant_cells() -> list[Cell]:
    """The cells of every variant of a config."""
    return [
        Cell(cell.model_type, cell.task, name)
        for cell in cells()
        for name, setting in VARIANTS.get(cell.model_type, {}).items()
        if setting.tasks is None or cell.task in setting.tasks
    ]


def oracle_class(cell: Cell) -> str:
    """The class name of transformers for a cell, empty where it has none."""
    unlisted = UNLISTED.get(cell.model_type, "") if cell.task == BASE else ""
    name = MAPPINGS[cell.task].get(cell.model_type, unlisted)
    return name if isinstance(name, str) else name[0]


# --- one checkpoint in both libraries -----------------------------------------------------------------------------


@cache
def pair(cell: Cell) -> Pair:
    """The oracle's model of a cell and headway's, loaded from what the oracle saved."""
    return Pair(cell, cell.values)


class Pair:
    """One checkpoint in both libraries, in evaluation mode and float32."""

    def __init__(self, cell: Cell, values: dict[str, Any]) -> None:
        self.cell, self.values = cell, values
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(cell.model_type, **values)
        config._attn_implementation = "eager"
        self.theirs: Any = getattr(transformers, oracle_class(cell))(config).eval()
        parameters = dict(self.theirs.named_parameters(remove_duplicate=False))
        for name in cell.setting.own:
            if name in parameters:
                module, _, leaf = name.rpartition(".")
                setattr(self.theirs.get_submodule(module), leaf, torch.nn.Parameter(parameters[name].clone()))
        draw_anew(self.theirs)
        self.folder = Path(tempfile.mkdtemp(prefix="headway-"))
        self.theirs.save_pretrained(self.folder)
        self.ours: Any = model_class(cell.model_type, cell.task).from_pretrained(self.folder)
        report = self.ours.load_report
        assert report.clean or {*report.left_over} == self.unread, str(report)

    @cached_property
    def stored(self) -> dict[str, torch.Tensor]:
        """What the oracle wrote."""
        return load(self.folder)

    @property
    def unread(self) -> set[str]:
        """The names of ``stored`` that stand for nothing, or for what is computed."""
        idle = {name for name, parameter in self.theirs.named_parameters() if not parameter.requires_grad}
        idle |= {name for name in self.stored if any(part in name for part in BESIDE)}
        if not getattr(self.theirs.config, "tie_word_embeddings", True):
            idle |= {name for name, read in UNREAD.items() if read in self.stored}
        under = UNREAD_UNDER.get((self.cell.model_type, self.cell.task))
        idle |= {name for name in self.stored if under is not None and name.startswith(under)}
        return idle & {*self.stored}

    def oracle(self, **inputs: Any) -> Any:
        """The oracle's output, with the loss that headway computes too."""
        for module in self.theirs.modules():
            if hasattr(module, "max_seq_len_cached") and hasattr(module, "original_inv_freq"):
                # Its dynamic rotary positions remember the longest row of all passes; each pass here stands alone.
                module.inv_freq = module.original_inv_freq.clone()
                module.max_seq_len_cached = module.original_max_seq_len
        unshifted = (self.cell.model_type, self.cell.task) in UNSHIFTED
        labels = inputs.pop("labels", None) if unshifted else None
        output = self.theirs(**inputs)
        if labels is not None:
            output.loss = F.cross_entropy(output.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
            output.move_to_end("loss", last=False)
        return output

    def our_gradients(self) -> dict[str, torch.Tensor]:
        """The gradients that headway's model holds, by the hub's names and in the hub's layouts; then dropped."""
        state = self.ours.state_dict(keep_vars=True)
        found = {}
        for slot in slots(self.ours, self.ours.parts()).values():
            parts = [state[name] for name in slot.place.parts]
            if slot.place.part == 0 and isinstance(parts[0], torch.nn.Parameter):
                found[slot.place.stored] = slot.place.layout.save([gradient(part) for part in parts])
        self.ours.zero_grad()
        return found

    def their_gradients(self) -> dict[str, torch.Tensor]:
        """The gradients that the oracle's model holds, named by letting it save them; then dropped."""
        twin = copy.deepcopy(self.theirs)
        for ours, theirs in zip(twin.parameters(), self.theirs.parameters(), strict=True):
            ours.data = gradient(theirs)
        self.theirs.zero_grad()
        with tempfile.TemporaryDirectory() as folder:
            twin.save_pretrained(folder)
            return load(Path(folder))


def load(folder: Path) -> dict[str, torch.Tensor]:
    """What the oracle wrote; of ESM it writes some tensors under names of old, which headway reads alone."""
    names = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
    names["encoder.layer.*.attention.self.rotary_embeddings.inv_freq"] = "rotary_embeddings.inv_freq"

    def today(name: str) -> str:
        for old, new in names.items():
            name = name.removesuffix(old) + new if name.endswith(old) else name
        return name

    return {today(name): tensor for name, tensor in load_file(folder / "model.safetensors").items()}


def gradient(parameter: torch.Tensor) -> torch.Tensor:
    """Its gradient, zeros where there is none."""
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()


def draw_anew(model: torch.nn.Module) -> None:
    """Draw every parameter that is learned: defaults of one and zero hide bugs."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict(keep_vars=True).items():
            computed = isinstance(tensor, torch.nn.Parameter) and not tensor.requires_grad
            if tensor.is_floating_point() and not computed:
                centre = 1.0 if tensor.dim() == 1 and "bias" not in name else 0.0
                tensor.copy_(centre + 0.2 * torch.randn(tensor.shape, generator=generator))
