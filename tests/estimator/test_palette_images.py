"""Lists of Pillow's images are read by their colours, also where these lie in a palette."""

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier

Image = pytest.importorskip("PIL.Image")

rng = np.random.default_rng(0)
PLACES = rng.integers(0, 16, (12, 8, 9), dtype=np.uint8)
PALETTE = rng.integers(0, 256, (16, 3), dtype=np.uint8)
COLOURS = PALETTE[PLACES]
y = np.arange(12) % 2


def palette_images(**info):
    images = [Image.fromarray(places) for places in PLACES]
    for image in images:
        image.putpalette(PALETTE.tobytes())
        image.info.update(info)
    return images


@pytest.mark.parametrize("container", [list, tuple])
def test_palettes_are_applied(container):
    clf = ScratchCNNClassifier(filters=4, max_iter=2, random_state=0)
    expected = clf.fit(COLOURS, y).predict_proba(COLOURS)
    assert np.array_equal(clf.predict_proba(container(palette_images())), expected)
    clf.fit(container(palette_images()), y)
    assert clf.image_shape_ == (3, 8, 9)
    assert np.array_equal(clf.predict_proba(COLOURS), expected)
    mixed = [*palette_images()[:6], *map(Image.fromarray, COLOURS[6:])]
    assert np.array_equal(clf.predict_proba(container(mixed)), expected)


@pytest.mark.parametrize("kind", ["transparency", "PA"])
def test_transparent_palettes_have_four_channels(kind):
    images = palette_images(**({"transparency": 3} if kind == "transparency" else {}))
    if kind == "PA":
        for image, places in zip(images, PLACES, strict=True):
            image.putalpha(Image.fromarray(np.where(places == 3, 0, 255).astype(np.uint8)))
    alpha = np.where(PLACES == 3, 0, 255).astype(np.uint8)
    expected = np.concatenate([COLOURS, alpha[..., None]], axis=3)
    clf = ScratchCNNClassifier(filters=4, max_iter=2, random_state=0).fit(expected, y)
    assert np.array_equal(clf.predict_proba(images), clf.predict_proba(expected))
    assert clf.image_shape_ == (4, 8, 9)


def test_grey_images_stay_grey():
    clf = ScratchCNNClassifier(filters=4, max_iter=2, random_state=0)
    expected = clf.fit(PLACES, y).predict_proba(PLACES)
    assert np.array_equal(clf.predict_proba([Image.fromarray(a) for a in PLACES]), expected)
