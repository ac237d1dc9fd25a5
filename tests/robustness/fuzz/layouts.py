"""Images in any order of axes, with or without a word on what they are.

A case is a dict of plain values: "axes" of one image; "stored", as they are or as "flat" rows;
"content", "noise" or "smooth"; "given", whether `image_shape` is passed; and the "data_format".
"""

import re
import warnings
from ast import literal_eval
from math import prod

import numpy as np

from skcnn import ScratchCNNClassifier
from skcnn.layers import Flatten

N = 12
SIZES = (1, 2, 3, 4, 5, 6, 7, 12, 16, 18, 24, 32, 48, 100, 128)
KNOWN = [
    (18, 18, 6), (6, 100, 1), (100, 1, 6), (6, 1, 100), (1, 100, 1), (6, 128), (128, 6),
    (28, 28, 1), (24, 32, 3), (32, 32, 13), (16, 16, 4), (3, 9, 7), (9, 7, 2), (4, 9, 2), (300,),
    (2304,), (9, 9, 32), (5, 5, 100), (7, 7, 48),
]  # fmt: skip
MOST = 4000
"""Numbers of an image."""

ERRORS = r"\b(X|image_shape|data_format)\b"
SETTLES = r"\b(image_shape|data_format)\b"
CURE = re.compile(
    r"(?:image_shape=(?P<shape>\([^)]*\)))?(?: and )?(?:data_format='(?P<order>\w+)')? "
    r"if (?P<what>[^,.]*)"
)


def draw(seed):
    """The case of a seed."""
    rng = np.random.default_rng([seed, 2])
    axes = KNOWN[rng.integers(len(KNOWN))]
    if rng.random() < 0.6:
        axes = [MOST, 2]
        while prod(axes) > MOST:
            axes = rng.choice(SIZES, rng.integers(1, 4)).tolist()
    orders = ["auto", "auto", "auto", "channels_first", "channels_last"]
    return {
        "axes": list(axes),
        "stored": ["axes", "axes", "flat"][rng.integers(3)],
        "content": ["noise", "smooth"][rng.integers(2)],
        "given": bool(rng.random() < 0.4),
        "data_format": orders[rng.integers(len(orders))],
    }


def images(case):
    """Noise, or what is nearly the same in neighbours, the last axis being channels."""
    rng, axes = np.random.default_rng(0), tuple(case["axes"])
    X = rng.random((N, *axes))
    if case["content"] == "smooth" and len(axes) == 3:
        tints, (rows, columns) = rng.random((N, 1, 1, axes[2])), np.indices(axes[:2])
        X = 0.01 * X + tints + np.sin((rows + columns) / 9)[..., np.newaxis]
    return X.reshape(N, -1) if case["stored"] == "flat" else X


def ambiguous(case):
    """The parameter that a warning must name; None where one need not be."""
    axes = case["axes"]
    if case["stored"] == "flat" or case["given"]:
        return None
    if len(axes) == 3 and case["data_format"] != "auto":
        return None
    if len(axes) == 3 and axes[2] not in (1, 3, 4):
        square = axes[0] == axes[1] > 1 and axes[1] != axes[2]
        return "data_format" if square or axes[2] < min(axes[:2]) else None
    sides = axes if len(axes) == 2 else axes[:2] if len(axes) == 3 and axes[2] == 1 else [1]
    return "image_shape" if min(sides) > 1 and max(sides) >= 8 * min(sides) else None


class Misread(Exception):
    """A reading that is wrong, or without the warning it needs."""


def fit(X, **parameters):
    """A model, and what it was warned of; None for one that was refused by name."""
    clf = ScratchCNNClassifier([Flatten()], max_iter=1, random_state=0, **parameters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            clf.fit(X, np.arange(N) % 2)
        except (TypeError, ValueError) as error:
            if not re.search(ERRORS, str(error)) or hasattr(clf, "weights_"):
                raise Misread(f"{type(error).__name__}: {error}") from error
            return None, []
    for warning in caught:
        if warning.category is not UserWarning or not re.search(SETTLES, str(warning.message)):
            raise Misread(f"{warning.category.__name__}: {warning.message}")
    return clf, [str(warning.message) for warning in caught]


def cures(message):
    """Yield the advice of a warning: parameters, and the case in which they are right."""
    for found in CURE.finditer(message[message.index("Pass ") :]):
        shape, order = found["shape"], found["order"]
        if (shape or order) and not re.search("[a-z]", shape or ""):
            parameters = {"image_shape": literal_eval(shape)} if shape else {}
            yield parameters | ({"data_format": order} if order else {}), found["what"]


def check(case):
    """Raise `Misread` for what must not be."""
    X = images(case)
    parameters = {"data_format": case["data_format"]}
    if case["given"]:
        parameters["image_shape"] = tuple(case["axes"])
    clf, said = fit(X, **parameters)
    if clf is None:
        return
    if prod(clf.image_shape_) != prod(case["axes"]):
        raise Misread(f"is read as {clf.image_shape_}")
    settles = ambiguous(case)
    if settles is not None and not any(settles in message for message in said):
        raise Misread(f"is silently read as {clf.image_shape_}")
    for message in said:
        advice = list(cures(message))
        if not advice:
            raise Misread(f"advises nothing: {message}")
        for cure, what in advice:
            cured, more = fit(X, **parameters | cure)
            if cured is None or more:
                raise Misread(f"{cure} is advised, but {'warned of' if more else 'refused'}")
            if what == "that is right" and cured.image_shape_ != clf.image_shape_:
                raise Misread(f"{cure} is advised, but read as {cured.image_shape_}")
    order, shape = clf._data_format, clf.image_shape_
    told = (*shape[1:], shape[0]) if order == "channels_last" else shape
    same, more = fit(X, image_shape=told, data_format=order)
    if same is None or more or not np.array_equal(same.weights_, clf.weights_):
        raise Misread(f"{told}, {order} is not the same, or {more}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = clf.predict_proba(X)
        for form in (X.reshape(N, -1), X.reshape(N, *told)):
            if not np.array_equal(clf.predict_proba(form), expected):
                raise Misread(f"other answers for {form.shape}")


def run(case):
    """Try it; a text that says what went wrong, or None."""
    try:
        check(case)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:400]}"
    return None
