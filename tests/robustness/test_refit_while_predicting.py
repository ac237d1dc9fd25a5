"""An answer comes from one model, even if the estimator is fitted again while it is computed."""

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import ScratchCNNRegressor
from skcnn.inspection import activations, saliency
from tests.shared import FIXED, X, quick, y

ROWS = X[:20]


class Refitting:
    """Images that fit an estimator again when they are read, as another thread could."""

    def __init__(self, refit):
        self.refit, self.shape = refit, ROWS.shape

    def __len__(self):
        return len(ROWS)

    def __array__(self, dtype=None, copy=None):
        self.refit()
        return ROWS.astype(dtype or ROWS.dtype)


def regressor(loss="squared_error"):
    return ScratchCNNRegressor(
        **FIXED, filters=4, hidden_layer_sizes=8, max_iter=2, random_state=0, loss=loss
    )


REFITS = {
    "other weights": (quick(), lambda clf: clf.fit(X[:100], y[:100])),
    "other scaling": (quick(), lambda clf: clf.fit(5 * X + 9, y)),
    "fewer classes": (quick(), lambda clf: clf.fit(X[y < 4], y[y < 4])),
    "other classes": (quick(), lambda clf: clf.fit(X, y + 100)),
    "labels": (quick(), lambda clf: clf.fit(X, np.eye(10, dtype=int)[y])),
    "other layers": (
        quick(), lambda clf: clf.set_params(filters=(3, 5)).fit(X, y),
    ),
    "other unit": (regressor(), lambda reg: reg.fit(X, 1000.0 * y)),
    "other link": (
        regressor(), lambda reg: reg.set_params(loss="poisson").fit(X, y),
    ),
    "more targets": (regressor(), lambda reg: reg.fit(X, np.c_[y, -y])),
}  # fmt: skip
ANSWERS = {
    "predict": lambda model, X: model.predict(X),
    "predict_proba": lambda model, X: model.predict_proba(X),
    "predict_log_proba": lambda model, X: model.predict_log_proba(X),
    "transform": lambda model, X: model.transform(X),
    "saliency": lambda model, X: saliency(model, X, method="gradient"),
    "activations": lambda model, X: activations(model, X, 0),
}


CASES = [
    (what, answer)
    for what, (model, _) in REFITS.items()
    for answer in ANSWERS
    if hasattr(model, answer) or not answer.startswith("predict")
]


@pytest.mark.parametrize(("what", "answer"), CASES)
def test_answers_are_of_the_model_that_was_asked(what, answer):
    model, refit = REFITS[what]
    model, ask = clone(model).fit(X, y), ANSWERS[answer]
    expected = ask(model, ROWS)
    before = model.weights_
    found = ask(model, Refitting(lambda: refit(model)))
    assert model.weights_ is not before
    assert np.array_equal(found, expected)
