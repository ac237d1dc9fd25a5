"""One image of each kind: what its pixels become, and what is refused."""

import os
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from skcnn.datasets import load_images

rng = np.random.default_rng(0)
RGB = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = rng.integers(0, 256, (5, 7), dtype=np.uint8)
SHAPE = (5, 7)


@pytest.fixture
def read(tmp_path):
    """Save an image, and load it again."""

    def saved_and_loaded(image, ending="png", shape=SHAPE, color="rgb", save=None, **kw):
        path = tmp_path / f"picture.{ending}"
        image.save(path, **(save or {}))
        (loaded,) = load_images(path, shape, color, **kw)
        return loaded

    return saved_and_loaded


def over(background, colour, alpha):
    """The definition of alpha: a mixture."""
    alpha = np.asarray(alpha, float)[..., None] / 255
    return alpha * colour + (1 - alpha) * np.asarray(background, float)


@pytest.mark.parametrize("resize", ["crop", "pad"])
@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "webp"])
def test_an_image_of_the_right_size_keeps_its_pixels(read, ending, resize):
    save = {"lossless": True} if ending == "webp" else {}
    loaded = read(Image.fromarray(RGB), ending, save=save, resize=resize)
    assert loaded.dtype == np.uint8
    assert np.array_equal(loaded, RGB)


def test_grey_is_one_channel_or_three_equal_ones(read):
    image = Image.fromarray(GREY)
    assert np.array_equal(read(image, color="grey"), GREY)
    assert np.array_equal(read(image), np.stack([GREY] * 3, axis=-1))


def test_colour_becomes_luma(read):
    luma = RGB @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    assert np.abs(read(Image.fromarray(RGB), color="grey") - luma).max() <= 1


def test_crop_keeps_the_middle_and_pad_keeps_everything(read):
    wide = rng.integers(0, 256, (20, 40, 3), dtype=np.uint8)
    assert np.array_equal(read(Image.fromarray(wide), shape=(20, 20)), wide[:, 10:30])
    assert np.array_equal(read(Image.fromarray(wide), shape=20), wide[:, 10:30])
    padded = read(Image.fromarray(wide), shape=(40, 40), resize="pad", background=(1, 2, 3))
    assert np.array_equal(padded[10:30], wide)
    assert (padded[:10] == [1, 2, 3]).all()
    assert (padded[30:] == [1, 2, 3]).all()
    tall = Image.fromarray(wide[..., 0].T)
    padded = read(tall, shape=(40, 60), color="grey", resize="pad", background=9)
    assert np.array_equal(padded[:, 20:40], wide[..., 0].T)
    assert (padded[:, :20] == 9).all()
    assert (padded[:, 40:] == 9).all()


def test_a_ramp_stays_a_ramp(read):
    ramp = Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (256, 1)))
    reduced = read(ramp, shape=(32, 64), color="grey")
    assert np.abs(reduced[:, 2:-2] - (4 * np.arange(64) + 1.5)[2:-2]).max() <= 1
    small = Image.fromarray(np.tile(np.arange(0, 256, 16, dtype=np.uint8), (16, 1)))
    enlarged = read(small, shape=(64, 64), color="grey")
    assert np.abs(enlarged[:, 8:-8] - (4 * np.arange(64) - 6.0)[8:-8]).max() <= 1


def test_one_pixel_and_one_row(read):
    assert (read(Image.new("RGB", (1, 1), (9, 8, 7))) == [9, 8, 7]).all()
    row = Image.new("RGB", (900, 1), (9, 8, 7))
    assert (read(row) == [9, 8, 7]).all()
    padded = read(row, resize="pad", background=0)
    assert (padded[2] == [9, 8, 7]).all()  # a line stays visible
    assert (padded[[0, 1, 3, 4]] == 0).all()
    assert read(Image.fromarray(RGB), shape=(1, 1)).shape == (1, 1, 3)


UPRIGHT = {  # EXIF 2.3: where the stored first row and column are in the upright image
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_upright(read, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = UPRIGHT[orientation](RGB)
    loaded = read(Image.fromarray(RGB), save={"exif": exif}, shape=upright.shape[:2])
    assert np.array_equal(loaded, upright)
    blocks = RGB[:2, :3].repeat(160, 0).repeat(160, 1)  # large enough to be decoded reduced
    upright = UPRIGHT[orientation](RGB[:2, :3])
    shape = (upright.shape[0] * 5, upright.shape[1] * 5)
    save = {"exif": exif, "quality": 95, "subsampling": 0}
    loaded = read(Image.fromarray(blocks), "jpg", save=save, shape=shape)
    assert np.abs(loaded[2::5, 2::5].astype(int) - upright).max() <= 6


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_grey_of_16_bits(read, ending):
    wide = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert np.array_equal(read(wide, ending, color="grey"), GREY)
    assert np.array_equal(read(wide, ending)[..., 2], GREY)


def test_grey_of_16_bits_with_a_transparent_value(read):
    wide = GREY.astype(np.uint16) * 257
    image = Image.fromarray(wide)
    save = {"transparency": int(wide[2, 3])}
    loaded = read(image, save=save, color="grey", background=77)
    assert np.array_equal(loaded, np.where(wide == wide[2, 3], 77, GREY))


def test_big_endian_grey_of_16_bits(tmp_path):
    path = tmp_path / "big.pgm"
    values = GREY.astype(np.uint16) * 257
    path.write_bytes(b"P5 7 5 65535\n" + values.astype(">u2").tobytes())
    assert np.array_equal(load_images(path, SHAPE, "grey")[0], GREY)


def test_one_bit(read):
    bits = GREY > 127
    assert np.array_equal(read(Image.fromarray(bits), color="grey"), bits * np.uint8(255))


@pytest.mark.parametrize("ending", ["png", "gif", "bmp", "tif"])
def test_palettes(read, ending):
    places = (np.arange(35) % 4).reshape(SHAPE).astype(np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    image = Image.fromarray(places)
    image.putpalette(palette.tobytes())
    assert np.array_equal(read(image, ending), palette[places])


@pytest.mark.parametrize("transparent", [1, bytes([255, 0, 128, 255])])
def test_transparent_entries_of_a_palette(read, transparent):
    places = (np.arange(35) % 4).reshape(SHAPE).astype(np.uint8)
    palette = rng.integers(0, 256, (4, 3), dtype=np.uint8)
    image = Image.fromarray(places)
    image.putpalette(palette.tobytes())
    alpha = [255, 0, 255, 255] if transparent == 1 else list(transparent)
    expected = over((10, 200, 30), palette[places], np.array(alpha)[places])
    loaded = read(image, save={"transparency": transparent}, background=(10, 200, 30))
    assert np.abs(loaded - expected).max() <= 1


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
@pytest.mark.parametrize("background", [0, 255, (10, 200, 30)])
def test_alpha_lies_over_the_background(read, background, ending):
    alpha = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    image = Image.fromarray(np.dstack([RGB, alpha]))
    save = {"lossless": True, "exact": True} if ending == "webp" else {}
    loaded = read(image, ending, save=save, background=background)
    beneath = background if isinstance(background, tuple) else (background,) * 3
    assert np.abs(loaded - over(beneath, RGB, alpha)).max() <= 1
    assert (loaded[0] == beneath).all()
    assert np.array_equal(loaded[1], RGB[1])


def test_grey_with_alpha_and_a_transparent_colour(read):
    alpha = rng.integers(0, 256, SHAPE, dtype=np.uint8)
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha)])
    expected = over([40.0], GREY[..., None], alpha)[..., 0]
    assert np.abs(read(image, color="grey", background=40) - expected).max() <= 1
    save = {"transparency": tuple(RGB[1, 1].tolist())}
    clear = read(Image.fromarray(RGB), save=save, background=(1, 2, 3))
    expected = RGB.copy()
    expected[(RGB[1, 1] == RGB).all(-1)] = (1, 2, 3)
    assert np.array_equal(clear, expected)


@pytest.mark.parametrize("ending", ["tif", "jpg"])
def test_cmyk(read, ending):
    inks = {(0, 0, 0, 0): 255, (0, 255, 255, 0): (255, 0, 0), (0, 0, 0, 255): 0}
    for ink, colour in inks.items():
        loaded = read(Image.new("CMYK", (16, 16), ink), ending, shape=(4, 4))
        assert np.abs(loaded.astype(int) - colour).max() <= 2


@pytest.mark.parametrize("ending", ["gif", "webp", "tif", "png"])
def test_the_first_of_several_images(read, ending):
    frames = [Image.new("RGB", (7, 5), colour) for colour in ((255, 0, 0), (0, 255, 0))]
    save = {"save_all": True, "append_images": frames[1:]}
    save |= {"lossless": True} if ending == "webp" else {}
    assert (read(frames[0], ending, save=save) == [255, 0, 0]).all()


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_real_photographs_are_averaged(name):
    import sklearn.datasets

    path = os.path.join(os.path.dirname(sklearn.datasets.__file__), "images", name)
    (loaded,) = load_images(path, (61, 91))
    photograph = load_sample_image(name)[:, 1:638].astype(float)  # 427 x 637, 7 times as much
    means = photograph.reshape(61, 7, 91, 7, 3).mean((1, 3))
    assert np.abs(loaded - means).mean() < 4
    assert np.corrcoef(loaded.ravel(), means.ravel())[0, 1] > 0.99


# what is refused


def refused(path, *patterns, shape=SHAPE):
    with pytest.raises(ValueError, match=path.name) as caught:
        load_images(path, shape)
    for pattern in patterns:
        assert pattern in str(caught.value)


def test_pixels_without_black_and_white_are_refused(tmp_path):
    path = tmp_path / "some.tif"
    Image.fromarray(GREY.astype(np.float32)).save(path)
    refused(path, "floating-point")
    for value in (-1, 70000):
        Image.fromarray(np.full(SHAPE, value, np.int32)).save(path)
        refused(path, "outside 0 to 65535")


def test_drawings_are_refused(tmp_path):
    path = tmp_path / "some.eps"
    Image.fromarray(RGB).save(path)
    refused(path, "EPS", "drawings")


@pytest.mark.parametrize("width", [20, 100])
@pytest.mark.parametrize("action", ["error", "ignore"])
def test_more_pixels_than_pillow_allows_are_refused(tmp_path, monkeypatch, width, action):
    path = tmp_path / "bomb.png"
    Image.new("RGB", (width, 10)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        refused(path, f"{width * 10} pixels", "MAX_IMAGE_PIXELS")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert load_images(path, SHAPE).shape == (1, 5, 7, 3)


def test_what_is_no_image_is_refused(tmp_path):
    path = tmp_path / "some.png"
    for content in (b"", b"GIF", b"no image at all", bytes(1000), b"\x89PNG\r\n\x1a\n"):
        path.write_bytes(content)
        refused(path)
    refused(tmp_path, "not a file")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp"])
def test_truncated_files_are_named(tmp_path, ending):
    whole, cut = tmp_path / f"whole.{ending}", tmp_path / f"cut.{ending}"
    Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(whole)
    content = whole.read_bytes()
    for length in (len(content) // 10, len(content) // 2, len(content) * 9 // 10):
        cut.write_bytes(content[:length])
        refused(cut)


def test_errors_of_the_system_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"):
        load_images([tmp_path / "missing.png"], SHAPE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    refused(tmp_path / "pipe.png", "not a file")
