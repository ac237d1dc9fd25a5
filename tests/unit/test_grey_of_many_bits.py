"""Grey of more than 8 bits: what black and white are, and what is lost."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from skcnn.datasets import load_image_folder, load_images

rng = np.random.default_rng(0)
SHAPE = (12, 10)
DIM = np.arange(120).reshape(SHAPE).astype(np.uint16)  # all of them black at 16 bits
CAMERA = rng.integers(0, 4096, SHAPE).astype(np.uint16)
CAMERA[0, :2] = 0, 4095

jp2 = pytest.param(
    "jp2",
    marks=pytest.mark.skipif(not features.check("jpg_2000"), reason="Pillow without JPEG 2000"),
)


def scaled(values, black, white):
    """The definition, in exact integers: rounded to the nearest of 256 levels."""
    twice = 510 * (values.astype(object) - black)
    return np.clip((twice + (white - black)) // (2 * (white - black)), 0, 255).astype(np.uint8)


def load(path, **kw):
    return load_images(path, SHAPE, "grey", **kw)[0]


def told(path, **kw):
    """The image, and the texts of the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = load(path, **kw)
    assert all(warning.filename == __file__ for warning in caught)
    return image, [str(warning.message) for warning in caught]


@pytest.mark.parametrize("ending", ["png", "tif", "pgm", jp2])
@pytest.mark.parametrize(("values", "white"), [(DIM, 119), (CAMERA, 4095)])
def test_the_levels_of_black_and_white_can_be_said(tmp_path, ending, values, white):
    path = tmp_path / f"dim.{ending}"
    Image.fromarray(values).save(path)
    image, texts = told(path)
    assert np.array_equal(image, scaled(values, 0, 65535))
    assert len(np.unique(image)) <= 17
    assert len(texts) == 1
    assert f"{path}: fills less than a sixteenth" in texts[0]
    assert "value_range" in texts[0]
    image, texts = told(path, value_range=(0, white))
    assert texts == []
    assert np.array_equal(image, scaled(values, 0, white))
    assert len(np.unique(image)) >= 100


@pytest.mark.parametrize("dtype", [">u2", "<u2"])
def test_both_byte_orders(tmp_path, dtype):
    path = tmp_path / "camera.tif"
    order, mark = (">", b"MM") if dtype[0] == ">" else ("<", b"II")
    tags = [
        (256, 4, 10), (257, 4, 12), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 122),
        (277, 3, 1), (278, 4, 12), (279, 4, 240),
    ]  # fmt: skip
    head = mark + struct.pack(f"{order}HIH", 42, 8, len(tags))
    for tag, kind, value in tags:
        content = (
            struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
        )
        head += struct.pack(f"{order}HHI", tag, kind, 1) + content
    path.write_bytes(head + bytes(4) + CAMERA.astype(dtype).tobytes())
    with Image.open(path) as image:
        assert image.mode == ("I;16B" if dtype[0] == ">" else "I;16")
    assert np.array_equal(load(path, value_range=(0, 4095)), scaled(CAMERA, 0, 4095))


def test_integers_of_32_bits_and_floating_point(tmp_path):
    path = tmp_path / "some.tif"
    tomography = rng.integers(-1024, 3072, SHAPE).astype(np.int32)
    Image.fromarray(tomography).save(path)
    with pytest.raises(ValueError, match=r"outside 0 to 65535 .* value_range does"):
        load(path)
    image = load(path, value_range=(-1024, 3071))
    assert np.array_equal(image, scaled(tomography, -1024, 3071))
    Image.fromarray(tomography * 500_000).save(path)
    image = load(path, value_range=(-1024 * 500_000, 3071 * 500_000))
    assert np.array_equal(image, scaled(tomography, -1024, 3071))
    fractions = rng.random(SHAPE, np.float32)
    Image.fromarray(fractions).save(path)
    with pytest.raises(ValueError, match=r"some\.tif.*floating-point.*value_range does"):
        load(path)
    assert np.abs(load(path, value_range=(0, 1)) - 255 * fractions.astype(float)).max() <= 0.5
    with np.errstate(all="raise"):
        image, texts = told(path, value_range=(0, 1e-300))
    assert (image == 255).all()
    assert len(texts) == 1
    for bad in (np.nan, np.inf, -np.inf):
        fractions[3, 4] = bad
        Image.fromarray(fractions).save(path)
        with pytest.raises(ValueError, match=r"some\.tif.*not finite"):
            load(path, value_range=(0, 1))


def test_values_beyond_black_and_white(tmp_path):
    path = tmp_path / "some.png"
    Image.fromarray(CAMERA).save(path)
    image = load(path, value_range=(1000, 3000))
    assert np.array_equal(image, scaled(CAMERA, 1000, 3000))
    assert (image[CAMERA <= 1000] == 0).all()
    assert (image[CAMERA >= 3000] == 255).all()
    assert np.array_equal(
        load(path, value_range=(4095, 0)), 255 - load(path, value_range=(0, 4095))
    )


def test_the_transparent_value_is_one_of_the_file(tmp_path):
    path = tmp_path / "some.png"
    Image.fromarray(CAMERA).save(path, transparency=int(CAMERA[2, 3]))
    image = load(path, value_range=(0, 4095), background=77)
    assert np.array_equal(image, np.where(CAMERA[2, 3] == CAMERA, 77, scaled(CAMERA, 0, 4095)))


QUIET = {
    "black": np.zeros(SHAPE, np.uint16),
    "white": np.full(SHAPE, 65535, np.uint16),
    "one grey": np.full(SHAPE, 30000, np.uint16),
    "a sixteenth": np.linspace(0, 4096, 120).astype(np.uint16).reshape(SHAPE),
    "8 bits": (np.arange(120) % 9).astype(np.uint8).reshape(SHAPE),
    "one bit": (np.arange(120) % 2).astype(bool).reshape(SHAPE),
}
LOUD = {
    "dim": DIM,
    "one dim grey": np.full(SHAPE, 120, np.uint16),
    "less than a sixteenth": np.linspace(0, 4095, 120).astype(np.uint16).reshape(SHAPE),
    "bright": DIM + np.uint16(50000),
}


@pytest.mark.parametrize("kind", [*QUIET, *LOUD])
def test_only_images_that_lose_their_contents_are_warned_of(tmp_path, kind):
    path = tmp_path / "some.png"
    Image.fromarray((QUIET | LOUD)[kind]).save(path)
    _, texts = told(path)
    assert len(texts) == (kind in LOUD)


@pytest.mark.parametrize(("hot", "loud"), [(1, True), (12, True), (13, False)])
def test_hot_pixels_do_not_make_an_image_bright(tmp_path, hot, loud):
    path = tmp_path / "some.png"
    values = np.linspace(0, 900, 12_000).astype(np.uint16).reshape(100, 120)
    values.flat[np.arange(hot) * 900] = 65535
    Image.fromarray(values).save(path)
    assert len(told(path)[1]) == loud
    path.write_bytes(png(np.repeat(values[..., None], 3, axis=2), 2))
    assert len(told(path)[1]) == loud


def test_few_white_points_on_black_are_an_image(tmp_path):
    path = tmp_path / "some.png"
    values = np.zeros((100, 120), np.uint16)
    values[3, 4] = 65535
    Image.fromarray(values).save(path)
    assert told(path)[1] == []


def test_a_range_that_does_not_meet_the_image_is_warned_of(tmp_path):
    path = tmp_path / "some.png"
    Image.fromarray(CAMERA + np.uint16(5000)).save(path)
    for levels in ((0, 255), (20000, 30000)):
        image, texts = told(path, value_range=levels)
        assert len(np.unique(image)) == 1
        assert len(texts) == 1


def png(values, kind):
    """A PNG file of 16 bits: kind 2 is RGB, 4 grey with alpha, 6 RGB with alpha."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    packed = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + packed


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_colour_of_16_bits_of_which_pillow_keeps_eight(tmp_path, kind, channels):
    path = tmp_path / "colour.png"
    values = np.repeat(DIM[..., None] * 30, channels, axis=2)
    path.write_bytes(png(values, kind))
    _, texts = told(path)
    assert len(texts) == 1
    assert f"{path}: fills less than a sixteenth" in texts[0]
    with pytest.raises(ValueError, match=r"colour\.png.*value_range is for grey"):
        load(path, value_range=(0, 4095))
    path.write_bytes(png(values * 18, kind))
    assert told(path)[1] == []


def test_colour_of_16_bits_of_a_pixel_is_no_colour_of_16_bits(tmp_path):
    path = tmp_path / "some.bmp"
    head = struct.pack("<IiiHHIIiiII", 40, 10, 12, 1, 16, 3, 240, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    path.write_bytes(
        b"BM" + struct.pack("<IHHI", 66 + 240, 0, 0, 66) + head + masks + bytes([33, 8]) * 120
    )
    assert told(path, value_range=(0, 4095))[1] == []


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_many_images_are_one_warning(tmp_path, n_jobs):
    for k in range(8):
        path = tmp_path / "cat" / f"{k}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(DIM if k else CAMERA * np.uint16(16)).save(path)
    with pytest.warns(UserWarning, match=r"1\.png, .*5\.png and 2 more: fills less") as caught:
        load_image_folder(tmp_path, SHAPE, "grey", n_jobs=n_jobs)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    bunch = load_image_folder(tmp_path, SHAPE, "grey", n_jobs=n_jobs, value_range=(0, 119))
    assert np.array_equal(bunch.images[3], scaled(DIM, 0, 119))
    assert "value_range (0, 119)" in bunch.DESCR


@pytest.mark.parametrize(
    "value",
    [4095, (0,), (0, 1, 2), (5, 5), "01", (0, "1"), (0, np.nan), (0, np.inf), (-1e308, 1e308), ()],
)
def test_ranges_that_are_none_are_named(tmp_path, value):
    for load in (lambda **kw: load_images([], **kw), lambda **kw: load_image_folder(".", **kw)):
        with pytest.raises(ValueError, match="value_range must be None or two different numbers"):
            load(shape=SHAPE, value_range=value)
