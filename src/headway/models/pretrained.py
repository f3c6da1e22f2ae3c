"""``PreTrainedModel``: what every model can do besides compute: come from a checkpoint and go back to one."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from headway.adapters.base import described_by, with_base
from headway.collection import collection_paused
from headway.config import SOURCE_KEYWORDS, PreTrainedConfig, take_source_keywords
from headway.errors import ConfigError, InputError, did_you_mean
from headway.generation.config import FILE_NAME, GenerationConfig, read_generation_config
from headway.io.atomic import atomic_folder, write_file
from headway.io.configs import read_config
from headway.io.hub import Folder, locate
from headway.io.quantised import dequantised
from headway.io.report import LoadReport
from headway.io.save import save_weights
from headway.io.weights import Weights, open_weights
from headway.models.adapting import Adaptable
from headway.models.initialise import initialise
from headway.models.keys import Part
from headway.models.load import Loader, assign, stored_tensors
from headway.nn.kernels import kernel
from headway.nn.stack import Stack
from headway.quant.convert import (
    OUTPUT,
    check_loaded,
    checked,
    quantise,
    quantised_layers,
    read_settings,
    round_tied_output,
    settings_of,
)

logger = logging.getLogger("headway")

# Arguments that only tune how other libraries load; here every load is as they ask.
_WITHOUT_EFFECT = ("low_cpu_mem_usage", "use_safetensors", "_fast_init", "weights_only", "use_auth_token")
_WITHOUT_EFFECT_ON_SAVING = ("save_function", "save_peft_format")


class PreTrainedModel(Adaptable, nn.Module):
    """A module with a config that is saved to and loaded from folders in the Hugging Face format.

    Subclass it with an ``__init__(self, config)`` and a ``forward`` of your own; set ``config_class`` where the class
    is to be loaded without passing a config.
    """

    config_class: ClassVar[type[PreTrainedConfig] | None] = None
    base_model_prefix: ClassVar[str] = ""
    main_input_name: ClassVar[str] = "input_ids"

    load_report: LoadReport | None = None
    _generation_config: GenerationConfig | None = None

    def __init__(self, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        if not isinstance(config, PreTrainedConfig):
            raise ConfigError(
                f"{type(self).__name__} expects a config such as AutoConfig.from_pretrained gives, got "
                f"{type(config).__name__}; to load a checkpoint use {type(self).__name__}.from_pretrained."
            )
        kernel(config._attn_implementation)
        self.config = config

    def post_init(self) -> None:
        """Draw the weights of this model's own modules anew, as classes of the field do at the end of ``__init__``.

        A method ``_init_weights(module)`` of the class says how; without one they are drawn as everywhere. Models
        within this one keep theirs.
        """
        inner = tuple(
            f"{path}." for path, module in self.named_modules() if path and isinstance(module, PreTrainedModel)
        )
        draw: Callable[[nn.Module], None] | None = getattr(self, "_init_weights", None)
        if draw is None:
            names = {name for name, _ in self.named_parameters() if not name.startswith(inner)}
            initialise(self, self.config, names)
            return
        for path, module in self.named_modules():
            if not f"{path}.".startswith(inner):
                draw(module)

    init_weights = post_init

    # --- what it is ------------------------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The type of the first floating-point parameter."""
        return next((p.dtype for p in self.parameters() if p.is_floating_point()), torch.float32)

    @property
    def device(self) -> torch.device:
        """Where the first parameter lies."""
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    def num_parameters(self, only_trainable: bool = False) -> int:
        """Count of parameters, tied ones once."""
        quantised = () if only_trainable else quantised_layers(self).values()
        rounded = sum(layer.in_features * layer.out_features for layer in quantised)
        return rounded + sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    # --- writing text ----------------------------------------------------------------------------------------------

    def can_generate(self) -> bool:
        """Has the model a head that writes text?"""
        return False

    @property
    def generation_config(self) -> GenerationConfig:
        """How the model writes where a call of ``generate`` does not say."""
        if self._generation_config is None:
            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self._generation_config = config

    # --- parts -----------------------------------------------------------------------------------------------------

    def parts(self) -> Iterable[Part]:
        """The models of families within this one: their names in files follow their family's table."""
        for path, module in self.named_modules():
            if path and isinstance(module, PreTrainedModel):
                for part in module.parts():
                    yield Part(f"{path}.{part.path}", part.translation)

    # --- training --------------------------------------------------------------------------------------------------

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Mapping[str, Any] | None = None) -> None:
        """Keep the inputs of layers alone while training, and compute the rest again in the backward pass.

        Less memory, a third more time, the same gradients. Layers are never re-entered, whatever the keyword says.
        """
        for module in self.modules():
            if isinstance(module, Stack):
                module.recomputes = True

    def gradient_checkpointing_disable(self) -> None:
        """Keep everything that the backward pass needs."""
        for module in self.modules():
            if isinstance(module, Stack):
                module.recomputes = False

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Are layers computed again in the backward pass?"""
        return any(isinstance(module, Stack) and module.recomputes for module in self.modules())

    # --- loading ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_config(cls, config: PreTrainedConfig, **kwargs: Any) -> Self:
        """A model with weights drawn anew. ``dtype`` and ``attn_implementation`` are as in ``from_pretrained``."""
        dtype = _dtype(kwargs.pop("dtype", kwargs.pop("torch_dtype", None)), config)
        if "attn_implementation" in kwargs:
            config._attn_implementation = kwargs.pop("attn_implementation")
        model = cls(config, **kwargs)
        return model if dtype is None else model.to(dtype)

    @classmethod
    @collection_paused()
    @torch.inference_mode(False)  # a model outlives the pass, and may be trained
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *model_args: Any,
        config: PreTrainedConfig | str | os.PathLike[str] | None = None,
        dtype: str | torch.dtype | None = "auto",
        device_map: Any = None,
        variant: str | None = None,
        output_loading_info: bool = False,
        ignore_mismatched_sizes: bool = True,
        quantize: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint: a folder or a hub id. Where an adapter alone lies there, load its base model and then it.

        Args:
            pretrained_model_name_or_path: where the checkpoint lies.
            config: in place of the checkpoint's own.
            dtype: a type, its name, or ``"auto"``: the one that the config names, else that of the file.
            device_map: a device, or ``"auto"`` for a GPU where there is one.
            variant: ``"fp16"`` reads ``model.fp16.safetensors``.
            output_loading_info: return ``(model, info)``.
            ignore_mismatched_sizes: False makes a head of another shape in the file an error.
            quantize: ``"int8"`` or ``"int4"``, as ``quantize`` does it.
            **kwargs: ``revision``, ``subfolder``, ``cache_dir``, ``token``, ``local_files_only``, ``force_download``,
                ``attn_implementation``, and fields of the config to override.

        Returns:
            The model, in evaluation mode. A head that the file lacks, or has with other labels, is drawn anew, and
            said so once; ``model.load_report`` tells what became of every tensor.

        Raises:
            CheckpointError: files are missing or damaged.
            WeightsError: a tensor of the backbone is missing or of another shape.
            InputError: an argument is unknown.
        """
        if quantize is not None:
            checked(quantize)
        for name in _WITHOUT_EFFECT:
            kwargs.pop(name, None)
        dtype = kwargs.pop("torch_dtype", dtype)
        places = take_source_keywords(kwargs)
        adapter, source = with_base(locate(pretrained_model_name_or_path, **places), places)
        if isinstance(config, PreTrainedConfig):
            settings = config
        else:
            chosen = described_by(adapter, source) if config is None else locate(config, **places)
            kind = cls.config_class or PreTrainedConfig
            settings = kind.from_dict({**kind.own_part(read_config(chosen)), "name_or_path": source.name})
        extra = cls._override(settings, kwargs)
        model = cls._unfilled(settings, *model_args, **extra)
        quantised = read_settings(settings, source.name)
        if quantised is not None:
            if quantize not in (None, quantised["weights"]):
                raise InputError(
                    f"{source.name} holds {quantised['weights']} weights, which quantize={quantize!r} cannot change; "
                    "load the checkpoint that they were made from."
                )
            quantise(model, quantised["weights"], bool(quantised.get("output_layer")))
        weights = open_weights(source, variant=variant, name=getattr(settings, "transformers_weights", None))
        quantisation = getattr(settings, "quantization_config", None)
        plain = dequantised(weights, quantisation, _dtype(dtype, settings), source.name)
        if plain is not weights:  # nor will be what is saved
            weights = plain
            settings.__dict__.pop("quantization_config", None)
        loader = Loader(model, model.parts(), weights, source.name)
        report = loader.run()
        # A head of other labels than the base model's comes with its adapter.
        if report.mismatched and not ignore_mismatched_sizes and adapter is None:
            raise ConfigError(f"{report}\nPass ignore_mismatched_sizes=True to draw what does not fit anew.")
        # A file without a floating-point type of its own in the config is loaded as it is.
        assign(model, loader.found, _dtype(dtype, settings, weights))
        report = model._finish(report)
        model.load_report = report
        if quantised is not None:
            check_loaded(model, source.name)
            if quantised.get("tied_output"):
                round_tied_output(model)
        elif quantize is not None:
            model.quantize(quantize)
        if adapter is not None:
            model.load_adapter(adapter)
            report = model.load_report
        if model.can_generate():
            model.generation_config = read_generation_config(source, settings)
        if report.new or report.mismatched:
            logger.warning("%s", report)
        if isinstance(source, Folder) and source.find("adapter_config.json"):
            logger.warning("The adapter in %s (adapter_config.json) is not applied; load_adapter does it.", source.name)
        if device_map is not None:
            model.to(_device(device_map))
        model.eval()
        return (model, report.to_dict()) if output_loading_info else model

    @classmethod
    def _override(cls, config: PreTrainedConfig, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Set what ``kwargs`` say of the config; return what the constructor takes."""
        takes = inspect.signature(cls.__init__).parameters
        extra = {}
        for name, value in kwargs.items():
            if name == "attn_implementation":
                config._attn_implementation = value
            elif config.has_field(name):
                setattr(config, name, value)
            elif name in takes:
                extra[name] = value
            else:
                known = [
                    *takes,
                    *config.__dict__,
                    *config.attribute_map,
                    *SOURCE_KEYWORDS,
                    "attn_implementation",
                    "torch_dtype",
                    "num_labels",
                    "dtype",
                    "device_map",
                    "variant",
                    "quantize",
                ]
                raise InputError(
                    f"from_pretrained got {name!r}, which is neither an argument of it nor a field of "
                    f"{type(config).__name__}.{did_you_mean(name, known)}"
                )
        return extra

    @classmethod
    def _unfilled(cls, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> Self:
        """A model whose weights are about to be replaced; a user's class is made as it always is."""
        return cls(config, *args, **kwargs)

    def _finish(self, report: LoadReport) -> LoadReport:
        """Called once the file's tensors stand in their places; returns what then is to be said of them."""
        return report

    # --- quantising ------------------------------------------------------------------------------------------------

    def quantize(self, weights: str) -> Self:
        """Round the weights of linear layers to whole numbers of 8 or 4 bits, in place: less memory, faster decoding.

        Those are the linear layers of the backbone's layers, and an output layer to the vocabulary (always 8 bits; of
        one that is the token table itself, a copy in memory, while the table stays). Heads that the checkpoint did not
        bring stay as they are. The rounded weights cannot be trained, but gradients pass through them.

        Args:
            weights: ``"int8"`` has a scale for each output; ``"int4"`` a scale and a zero for 32 inputs each (layers
                whose inputs are no multiple of 32 take int8).

        Returns:
            The model itself.

        Raises:
            InputError: there is no such kind, or the model is quantised already.
        """
        checked(weights)
        self._check_plain("quantised")
        if settings_of(self) is not None:
            raise InputError("The model is quantised already; load it in full precision to quantise it in another way.")
        report = self.load_report
        new = () if report is None else (*report.new, *(mismatch.name for mismatch in report.mismatched))
        quantise(self, weights, not any(OUTPUT.fullmatch(name.rpartition(".")[0]) for name in new))
        return self

    # --- saving ----------------------------------------------------------------------------------------------------

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *,
        max_shard_size: int | str = "50GB",
        state_dict: Mapping[str, Tensor] | None = None,
        safe_serialization: bool = True,
        is_main_process: bool = True,
        **kwargs: Any,
    ) -> None:
        """Write config and weights into a folder, all or nothing; other files in it stay.

        Of a model with adapters, the one in use is written in place of them, as ``headway.save_adapter`` does it.

        The tensors have the names and layouts of the hub, so other libraries read them. The same model gives the same
        bytes.

        Args:
            save_directory: made where it is missing.
            max_shard_size: bytes of one file at most, such as ``"5GB"``.
            state_dict: tensors by the hub's names in place of the model's own; it is written whole.
            is_main_process: False writes nothing: of several processes, one is to save.

        Raises:
            InputError: ``safe_serialization=False``, or an argument is unknown.
        """
        for name in kwargs:
            if name not in _WITHOUT_EFFECT_ON_SAVING:
                known = inspect.signature(self.save_pretrained).parameters
                raise InputError(f"save_pretrained takes no argument {name!r}.{did_you_mean(name, known)}")
        if not is_main_process:
            return
        if not safe_serialization:
            raise InputError("safe_serialization=False would write a pickle; headway writes safetensors only.")
        if self._adapters is not None and state_dict is None:
            self._save_adapter(save_directory)
            return
        tensors = dict(stored_tensors(self, self.parts()) if state_dict is None else state_dict)
        with atomic_folder(Path(save_directory)) as folder:
            self.write_config(folder)
            save_weights(tensors, folder, max_shard_size=max_shard_size)

    def write_config(self, folder: Path) -> None:
        """Write what a checkpoint holds of this model besides weights, file by file."""
        values = self.config.to_dict()
        values |= {"architectures": [type(self).__name__], "dtype": str(self.dtype).removeprefix("torch.")}
        values.pop("transformers_weights", None)  # the name of a file elsewhere
        settings = settings_of(self)
        if settings is not None:
            values["quantization_config"] = settings
        elif read_settings(self.config, type(self).__name__) is not None:
            del values["quantization_config"]
        config = type(self.config)(**{key: value for key, value in values.items() if key != "model_type"})
        write_file(folder / "config.json", config.to_json_string().encode())
        if self.can_generate():
            write_file(folder / FILE_NAME, self.generation_config.to_json_string().encode())


PretrainedModel = PreTrainedModel


def fill_new(model: PreTrainedModel, report: LoadReport) -> None:
    """Give memory and values to the parameters that the file did not bring."""
    new = {*report.new, *(mismatch.name for mismatch in report.mismatched)}
    if new:
        dtype = next((p.dtype for p in model.parameters() if p.device.type != "meta"), None)
        values = {
            name: torch.zeros(tensor.shape, dtype=dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in model.state_dict().items()
            if name in new
        }
        assign(model, values, None)
        initialise(model, model.config, new)


def _dtype(
    dtype: str | torch.dtype | None, config: PreTrainedConfig, weights: Weights | None = None
) -> torch.dtype | None:
    """The type that ``dtype`` asks for; None leaves tensors as they are."""
    if dtype == "auto":
        dtype = config.dtype.get("") if isinstance(config.dtype, dict) else config.dtype
        if dtype is None and weights is not None:
            kinds = (weights.dtype(name) for name in weights)
            return next((kind for kind in kinds if kind.is_floating_point and kind.itemsize > 1), None)
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    found = getattr(torch, str(dtype).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"dtype={dtype!r} is not a type of torch; use 'auto', 'float32', 'bfloat16' or 'float16'.")
    return found


def _device(device_map: Any) -> torch.device:
    if isinstance(device_map, dict):
        places = set(map(str, device_map.values()))
        if len(places) != 1:
            raise InputError("device_map spreads the model over several devices; name one device, or 'auto'.")
        device_map = places.pop()
    if device_map == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device_map)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"device_map={device_map!r} is no device; use 'auto', 'cpu' or 'cuda:0'.") from error
