"""Files that were damaged on purpose: an image comes out, or an error that names the file."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image

from skcnn.datasets import load_images

rng = np.random.default_rng(0)
PIXELS = np.dstack([np.arange(40)[:, None] * np.ones(30)] * 3).astype(np.uint8) * 5
PIXELS += rng.integers(0, 30, PIXELS.shape, dtype=np.uint8)
ALPHA = np.dstack([PIXELS, PIXELS[..., :1]])


def written(image, name, **kw):
    content = io.BytesIO()
    image.save(content, name, **kw)
    return content.getvalue()


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x010F] = "a camera"
    return tags


VALID = {
    "png": written(Image.fromarray(PIXELS), "PNG", exif=exif()),
    "png with alpha": written(Image.fromarray(ALPHA), "PNG"),
    "png, 16 bits": written(
        Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG", transparency=257
    ),
    "png, palette": written(
        Image.fromarray(PIXELS).quantize(16), "PNG", transparency=bytes([0, 99, 255])
    ),
    "jpeg": written(Image.fromarray(PIXELS), "JPEG", exif=exif()),
    "jpeg, progressive": written(Image.fromarray(PIXELS), "JPEG", progressive=True),
    "jpeg, cmyk": written(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "gif": written(
        Image.fromarray(PIXELS), "GIF", save_all=True, append_images=[Image.new("RGB", (30, 40))]
    ),
    "bmp": written(Image.fromarray(PIXELS), "BMP"),
    "bmp, palette": written(Image.fromarray(PIXELS).quantize(16), "BMP"),
    "tiff": written(Image.fromarray(PIXELS), "TIFF"),
    "tiff, compressed": written(Image.fromarray(ALPHA), "TIFF", compression="tiff_lzw"),
    "tiff, jpeg": written(Image.fromarray(PIXELS), "TIFF", compression="jpeg"),
    "tiff, floating point": written(Image.fromarray(PIXELS[..., 0].astype("f4")), "TIFF"),
    "webp": written(Image.fromarray(ALPHA), "WEBP", exif=exif()),
    "ppm": written(Image.fromarray(PIXELS), "PPM"),
}


def damaged(content, rng):
    """The content with one to eight changes, more of them where the headers are."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        if not data:
            break
        end = len(data) if rng.random() < 0.5 else min(len(data), 64)
        place = int(rng.integers(end))
        kind = rng.integers(6)
        if kind == 0:
            data[place] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[place] = int(rng.choice([0, 1, 127, 128, 255]))
        elif kind == 2:
            del data[place:]
        elif kind == 3:
            del data[place : place + int(rng.integers(1, 20))]
        elif kind == 4:
            data[place:place] = rng.bytes(int(rng.integers(1, 20)))
        else:
            data[place : place + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
    return bytes(data)


def outcomes(kind, seeds, path):
    """Count the damaged files that were read, and those that were refused by name."""
    read, refused = 0, 0
    for seed in seeds:
        path.write_bytes(damaged(VALID[kind], np.random.default_rng([seed, len(kind)])))
        try:
            resize, levels = ("pad", (0, 255)) if seed % 2 else ("crop", (200, 0))
            (image,) = load_images(path, (8, 9), resize=resize, value_range=levels)
            read += image.shape == (8, 9, 3)
        except ValueError as error:
            refused += str(error).startswith(f"{path}: ")
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}: {error!r}") from error
        assert read + refused == seed - seeds[0] + 1, f"{kind}, seed {seed}"
    return read, refused


@pytest.fixture
def limited(monkeypatch):
    """Pillow's limit lowered, so that a test does not take the memory of a real bomb."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2**22)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of some damage, and reads on
        yield


@pytest.mark.parametrize("kind", VALID)
def test_damaged_files(kind, tmp_path, limited):
    _, refused = outcomes(kind, range(40), tmp_path / "damaged")
    assert refused


@pytest.mark.slow
@pytest.mark.parametrize("kind", VALID)
def test_many_damaged_files(kind, tmp_path, limited):
    read, refused = outcomes(kind, range(40, 1000), tmp_path / "damaged")
    assert read > 10 or kind.startswith("png")  # whose checksums tell of nearly all damage
    assert refused > 100


def test_the_undamaged_ones_are_read(tmp_path):
    for kind, content in VALID.items():
        path = tmp_path / kind
        path.write_bytes(content)
        levels = (0, 255) if kind == "tiff, floating point" else None
        assert load_images(path, (8, 9), value_range=levels).std() > 5, kind
