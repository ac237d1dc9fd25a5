"""Reading of one image file, of any format, as an array of given shape and colour.

Pillow decodes, turns upright, converts and resizes. This module defines the meaning
of each kind of pixel, and names files that cannot be read.
"""

import re
import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise ImportError('Reading images needs Pillow: pip install "skcnn[images]"') from error

from skcnn.datasets.file_warnings import warn_of_file

Image.init()  # registers all formats once, before threads start

MODES = {"rgb": "RGB", "grey": "L"}
"""Pillow's name of each color."""

DRAWINGS = ("EPS", "WMF")
"""Vector formats, which are rejected; drawing EPS would start another program, Ghostscript."""

WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's modes for grey of more than eight bits."""

DEEP = re.compile(r"(RGB[AaX]*|LA|CMYK);16[BLN]")
"""Pillow's names for 16-bit colour in a file, of which it keeps the upper eight bits."""

SIXTEEN_BITS = (0, 65535)
"""Default values of black and white."""

NARROW = 1 / 16
"""Fraction of the range from black to white below which 8 bits keep few grey values."""

FEW = 1000
"""Number of pixels of which one may be brighter: cameras have hot pixels."""

REDUCED = 2
"""JPEG files may be decoded smaller, at no less than this multiple of the size wanted."""


@dataclass(frozen=True)
class ImageForm:
    """Target form of every image: shape, colour and background."""

    height: int
    width: int
    color: str
    resize: str
    background: tuple[int, int, int]
    value_range: tuple[float, float] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an image."""
        return (self.height, self.width, 3)[: 3 if self.color == "rgb" else 2]

    def read(self, path: Path) -> np.ndarray:
        """Return the image in the file, or raise ``ValueError`` that names it.

        Errors of the operating system (no such file, no permission) are raised as
        they are: the file is read completely before Pillow sees it, so any error of
        Pillow is due to its contents.
        """
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError(f"{path}: not a file.")
        content = BytesIO(path.read_bytes())
        try:
            with Image.open(content) as image:
                return np.asarray(self._framed(image))
        except MemoryError:
            raise
        except UnidentifiedImageError:
            raise ValueError(
                f"{path}: not an image, or of a format that Pillow cannot read."
            ) from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ValueError(
                f"{path}: {error} The limit is PIL.Image.MAX_IMAGE_PIXELS; raise it if you trust "
                "the file."
            ) from error
        except Exception as error:  # Pillow has no common base class of errors for damaged files
            raise ValueError(
                f"{path}: damaged, or of a kind that is not supported "
                f"({type(error).__name__}: {error})."
            ) from error

    def _framed(self, image: Image.Image) -> Image.Image:
        self._check(image)
        deep = _has_16_bit_colour(image) or image.format == "JPEG2000"  # which may be deep, too
        most = REDUCED * max(self.height, self.width)
        image.draft(None, (most, most))  # affects only JPEG
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in WIDE:
            image = self._eight_bits(image)
        elif deep and image.mode in ("LA", "RGB", "RGBA"):
            _warn_of_lost_colours(image.convert("RGB"))
        if image.has_transparency_data:
            above = image.convert("RGBA")
            image = Image.new("RGB", above.size, self.background)
            image.paste(above, mask=above)
        elif image.mode not in ("1", "L", "RGB"):
            image = image.convert("RGB")
        image = image.convert(MODES[self.color])
        size = (self.width, self.height)
        if self.resize == "crop":
            return ImageOps.fit(image, size)
        fill = self.background if self.color == "rgb" else self.background[0]
        scale = min(self.width / image.width, self.height / image.height)
        # at least one pixel, for very narrow images
        width, height = (max(1, round(scale * side)) for side in image.size)
        padded = Image.new(image.mode, size, fill)
        whole = image.resize((width, height), Image.Resampling.BICUBIC)
        padded.paste(whole, ((self.width - width) // 2, (self.height - height) // 2))
        return padded

    def _check(self, image: Image.Image) -> None:
        """Reject images that must not or cannot be decoded, before decoding."""
        if image.format in DRAWINGS:
            raise ValueError(f"{image.format} files hold drawings, not pixels")
        if image.mode == "F" and self.value_range is None:
            raise ValueError(
                "floating-point pixels do not say what black and white are; value_range does"
            )
        pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
        if limit is not None and pixels > limit:
            raise Image.DecompressionBombError(
                f"Image size ({pixels} pixels) exceeds limit of {limit} pixels."
            )
        if self.value_range is not None and _has_16_bit_colour(image):
            raise ValueError(
                "value_range is for grey; of colour of 16 bits, Pillow keeps the upper eight"
            )

    def _eight_bits(self, image: Image.Image) -> Image.Image:
        """Convert grey of more than 8 bits to 8, with alpha if the file has a transparent value."""
        values = np.asarray(image)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("some pixels are not finite")
        black, white = self.value_range or SIXTEEN_BITS
        if self.value_range is None and (values.min() < black or values.max() > white):
            raise ValueError(
                f"pixels outside {black} to {white} do not say what black and white are; "
                "value_range does"
            )
        levels = values.astype(np.float64)  # changed in place: an image may be large
        np.clip(levels, min(black, white), max(black, white), out=levels)
        levels -= black
        levels /= white - black
        clipped = levels.min() == levels.max() and values.min() < values.max()
        if clipped or _is_narrow(levels):
            warn_of_file(
                "fills less than a sixteenth of the range of values from black, "
                f"{black:g}, to white, {white:g}, and keeps few of its grey values. Pass what "
                "means black and white, such as value_range=(0, 4095) for a camera of 12 bits, "
                "and the same for all images of a model."
            )
        levels *= 255
        grey = Image.fromarray(np.rint(levels, out=levels).astype(np.uint8))
        if (transparent := image.info.get("transparency")) is not None:
            grey.putalpha(Image.fromarray((values != transparent) * np.uint8(255)))
        return grey


def _has_16_bit_colour(image: Image.Image) -> bool:
    """Whether Pillow will drop half of the bits; checked before the image is decoded."""
    for tile in getattr(image, "tile", ()):
        name = tile[3] if isinstance(tile[3], str) else (tile[3] or [""])[0]
        if DEEP.fullmatch(str(name)):
            return True
    return False


def _warn_of_lost_colours(image: Image.Image) -> None:
    """Warn of colour images whose contents were probably in the bits that Pillow drops."""
    if _is_narrow(np.asarray(image, np.float32) / 255):
        warn_of_file(
            "fills less than a sixteenth of the range from black to white. Of colour of 16 bits, "
            "Pillow keeps the upper eight; scale the values with another program if that is too "
            "little."
        )


def _is_narrow(levels: np.ndarray) -> bool:
    """Whether values between 0, black, and 1, white, keep few grey levels in 8 bits.

    An image of one colour loses nothing, except that dim grey becomes black.
    """
    darkest = levels.min()
    most = levels[levels < darkest + NARROW]
    if levels.size - most.size > levels.size // FEW:
        return False
    brightest = most.max()
    return bool(darkest < brightest or 0 < brightest < NARROW)
