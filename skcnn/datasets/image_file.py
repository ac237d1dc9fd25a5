"""One image file, of whatever format, as an array of a given shape and colour.

Decoding, turning upright, conversion and resizing are Pillow's; what is
settled here is what each kind of pixel means, and that a file which cannot be
read is named.
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

Image.init()  # every format at once, so that threads need not

MODES = {"rgb": "RGB", "grey": "L"}
"""Pillow's name of each color."""

DRAWINGS = ("EPS", "WMF")
"""Formats that are no pixels; drawing EPS would start another program, Ghostscript."""

WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
"""Pillow's modes for grey of more than eight bits."""

DEEP = re.compile(r"(RGB[AaX]*|LA|CMYK);16[BLN]")
"""Pillow's names for colour of 16 bits in a file, of which it keeps the upper eight."""

SIXTEEN_BITS = (0, 65535)
"""Black and white where nothing else is said."""

NARROW = 1 / 16
"""Part of the range from black to white in which 8 bits keep few grey values."""

REDUCED = 2
"""A JPEG file may be decoded at a fraction of its size, but at this many times `Frame`'s."""


@dataclass(frozen=True)
class Frame:
    """Target form of every image: shape, colour, and filling."""

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
        """Image in the file, or ``ValueError`` that names the file.

        The errors of the operating system (no such file, no permission) stay
        what they are: the file is read whole before Pillow sees it, so that
        whatever Pillow raises is due to what the file holds.
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
        except Exception as error:  # Pillow has no common class for what damaged files lead to
            raise ValueError(
                f"{path}: damaged, or of a kind that is not supported "
                f"({type(error).__name__}: {error})."
            ) from error

    def _framed(self, image: Image.Image) -> Image.Image:
        self._check(image)
        deep = _has_16_bit_colour(image) or image.format == "JPEG2000"  # which may be deep, too
        most = REDUCED * max(self.height, self.width)
        image.draft(None, (most, most))  # does nothing but to JPEG
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
        width, height = (max(1, round(scale * side)) for side in image.size)  # of a line, one pixel
        padded = Image.new(image.mode, size, fill)
        whole = image.resize((width, height), Image.Resampling.BICUBIC)
        padded.paste(whole, ((self.width - width) // 2, (self.height - height) // 2))
        return padded

    def _check(self, image: Image.Image) -> None:
        """Refuse, before anything is decoded, what must not or cannot be."""
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
        """Grey of more than 8 bits in 8, with alpha where the file says a value is transparent."""
        values = np.asarray(image)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError("some pixels are no finite numbers")
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
        darkest, brightest = levels.min(), levels.max()
        clipped = darkest == brightest and values.min() < values.max()
        if clipped or _is_narrow(darkest, brightest):
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
    """Whether Pillow is going to leave out half of the bits, before the image is decoded."""
    for tile in getattr(image, "tile", ()):
        name = tile[3] if isinstance(tile[3], str) else (tile[3] or [""])[0]
        if DEEP.fullmatch(str(name)):
            return True
    return False


def _warn_of_lost_colours(image: Image.Image) -> None:
    """Warn of colour that most likely had its contents in the bits that Pillow leaves out."""
    extrema = np.array(image.getextrema()) / 255
    if _is_narrow(extrema.min(), extrema.max()):
        warn_of_file(
            "fills less than a sixteenth of the range from black to white. Of colour of 16 bits, "
            "Pillow keeps the upper eight; scale the values with another program if that is too "
            "little."
        )


def _is_narrow(darkest: float, brightest: float) -> bool:
    """Whether values between 0, black, and 1, white, keep few grey levels in 8 bits.

    Of an image of one colour there is nothing to lose, except that dim grey becomes black.
    """
    return brightest - darkest < NARROW and (darkest < brightest or 0 < brightest < NARROW)
