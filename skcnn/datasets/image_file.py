"""One image file, of whatever format, as an array of a given shape and colour.

Decoding, turning upright, conversion and resizing are Pillow's; what is
settled here is what each kind of pixel means, and that a file which cannot be
read is named.
"""

import stat
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise ImportError('Reading images needs Pillow: pip install "skcnn[images]"') from error

Image.init()  # every format at once, so that threads need not

MODES = {"rgb": "RGB", "grey": "L"}
"""Pillow's name of each color."""

DRAWINGS = ("EPS", "WMF")
"""Formats that are no pixels; drawing EPS would start another program, Ghostscript."""

WIDE = ("I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's modes for grey of more than eight bits."""

WHITE = 65535
"""White in 16 bits."""

REDUCED = 2
"""A JPEG file may be decoded at a fraction of its size, but at this many times `Frame`'s."""


@dataclass(frozen=True)
class Frame:
    """What every image is made to be: its shape, colour, and what fills the rest."""

    height: int
    width: int
    color: str
    resize: str
    background: tuple[int, int, int]

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
        _check(image)
        most = REDUCED * max(self.height, self.width)
        image.draft(None, (most, most))  # does nothing but to JPEG
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in WIDE:
            image = _eight_bits(image)
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


def _check(image: Image.Image) -> None:
    """Refuse, before anything is decoded, what must not or cannot be."""
    if image.format in DRAWINGS:
        raise ValueError(f"{image.format} files hold drawings, not pixels")
    if image.mode == "F":
        raise ValueError("floating-point pixels do not say what black and white are")
    pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise Image.DecompressionBombError(
            f"Image size ({pixels} pixels) exceeds limit of {limit} pixels."
        )


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits in 8, with alpha where the file says that one value is transparent."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > WHITE:
        raise ValueError(f"pixels outside 0 to {WHITE} do not say what black and white are")
    levels = values.astype(np.uint32)  # changed in place: an image may be large
    levels += WHITE // 255 // 2
    levels //= WHITE // 255
    grey = Image.fromarray(levels.astype(np.uint8))
    if (transparent := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray((values != transparent) * np.uint8(255)))
    return grey
