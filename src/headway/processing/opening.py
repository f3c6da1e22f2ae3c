"""Images from wherever they are: files, the web, text, arrays."""

from __future__ import annotations

import base64
import binascii
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from headway.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from PIL.Image import Image

# Seconds to wait for an image from the web where nobody says.
PATIENCE = 60.0


def opened(given: Any, timeout: float | None = None) -> Image:
    """An image, the right way up where it knows how it was taken.

    Args:
        given: a PIL image; the path of a file; a URL (``http:``, ``https:`` or ``data:``); an encoded file as bytes or
            in base64; or an array or tensor of bytes, ``[height, width]``, ``[height, width, channels]`` or
            ``[channels, height, width]``.
        timeout: seconds to wait for an image from the web.

    Raises:
        InputError: there is no such image, or it is damaged.
        MissingExtraError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise MissingExtraError("Images need Pillow: pip install headway[vision].") from None
    if isinstance(given, str | os.PathLike | bytes):
        name = _shown(given)
        try:
            with Image.open(_file(given, timeout)) as image:
                image.load()
        except OSError as error:
            raise InputError(f"{name} cannot be read as an image: {error}.") from None
        given = image
    if not isinstance(given, Image.Image):
        given = Image.fromarray(_bytes(given))
    return ImageOps.exif_transpose(given)


def _file(given: str | bytes | os.PathLike[str], timeout: float | None) -> Any:
    """What Pillow opens: a path, or a file in memory."""
    if isinstance(given, bytes):
        return io.BytesIO(given)
    text = os.fspath(given)
    if text.startswith(("http://", "https://")):
        return io.BytesIO(_fetched(text, timeout))
    if text.startswith("data:"):
        return io.BytesIO(_decoded(text.partition(",")[2]))
    # Nothing but base64 is that long a name.
    return io.BytesIO(_decoded(text)) if len(text) > 255 and not _exists(text) else text


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:  # too long for a name
        return False


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{_shown(text)} is neither a file nor an image in base64.") from None


def _fetched(url: str, timeout: float | None) -> bytes:
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session, httpx  # type: ignore[attr-defined]  # its documented place

    if constants.is_offline_mode():
        raise InputError(f"{url!r} is on the web, which HF_HUB_OFFLINE switches off.")
    try:
        response = get_session().get(url, timeout=timeout or PATIENCE, follow_redirects=True)
        response.raise_for_status()
    except httpx.HTTPStatusError as error:
        raise InputError(f"{url!r} cannot be fetched: it answered {error.response.status_code}.") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise InputError(f"{url!r} cannot be fetched: {str(error) or type(error).__name__}.") from None
    return bytes(response.content)


def _bytes(given: Any) -> np.ndarray[Any, Any]:
    """An array as Pillow takes it: ``[height, width]`` or ``[height, width, 3]`` uint8."""
    array = np.asarray(given)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise InputError(
            "Expected an image, the path or the URL of one, or bytes of shape [height, width, channels], got "
            f"{array.dtype} of shape {list(array.shape)}."
        )
    if array.ndim == 3 and array.shape[0] in (1, 3) and array.shape[2] not in (1, 3):
        array = array.transpose(1, 2, 0)
    return array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array


def _shown(given: Any) -> str:
    text = repr(given if isinstance(given, bytes) else os.fspath(given))
    return text if len(text) <= 60 else f"{text[:57]}..."
