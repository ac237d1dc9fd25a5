"""Check of any file of an image: it is read, or refused by name, in little memory."""

import io
import tracemalloc
import warnings

import numpy as np
from PIL import Image

from skcnn.datasets import load_images

MOST_PIXELS = 2**16
"""Of the images that are decoded here; larger ones are refused as Pillow refuses bombs."""

MOST_BYTES = 64 * MOST_PIXELS + 2**22
"""Bytes that decoding and resizing so many pixels, and Pillow's buffers, may take."""


def valid_images():
    """An image of every common format, some with alpha, a palette or a transposition."""
    rng = np.random.default_rng(0)
    pixels = Image.fromarray(rng.integers(0, 255, (13, 9, 3)).astype(np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    for image, name, options in (
        (pixels, "PNG", {"exif": turned}),
        (pixels.quantize(8), "PNG", {"transparency": 1}),
        (pixels.convert("RGBA"), "PNG", {}),
        (pixels.convert("I;16"), "PNG", {}),
        (pixels.convert("F"), "TIFF", {}),
        (pixels, "JPEG", {"exif": turned}),
        (pixels, "JPEG", {"progressive": True}),
        (pixels.quantize(8), "GIF", {}),
        (pixels, "BMP", {}),
        (pixels, "TIFF", {"compression": "tiff_lzw"}),
        (pixels, "WEBP", {}),
        (pixels, "PPM", {}),
    ):
        content = io.BytesIO()
        image.save(content, name, **options)
        yield content.getvalue()


def examine_image(path, content):
    """Whether `load_images` accepts this content."""
    path.write_bytes(content)
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS // 2
    tracemalloc.start()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, of what it repaired
            found = load_images([path], (4, 5), color="rgb", value_range=(0, 255))
    except ValueError as error:
        found = error
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        Image.MAX_IMAGE_PIXELS = limit
    assert peak <= MOST_BYTES, f"{peak} bytes"
    if isinstance(found, ValueError):
        assert str(path) in str(found), f"not named: {found}"
        return False
    assert found.shape[0] == 1
    assert found.dtype == np.uint8
    return True
