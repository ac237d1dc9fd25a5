"""
Digits: search, save, and deploy
================================

The typical life of a classifier, on the digits that come with scikit-learn: fit it with
its defaults, search over ``lr`` and ``filters`` in a pipeline, save the winner, and
predict with it in a new process.

It takes about a minute on two cores.
"""

import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ScratchCNNClassifier

X, y = load_digits(return_X_y=True)  # 1,797 images of 8 x 8 pixels, as flat rows
X_train, X_test, y_train, y_test = train_test_split(
    X, y, test_size=0.25, stratify=y, random_state=0
)

# %%
# With the defaults
# -----------------
#
# The network is one step of a pipeline like any other. It reads 64 features as 8 x 8
# pixels. The fitted estimator shows the values that it chose from the data.

pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("cnn", ScratchCNNClassifier(random_state=0, dtype="float32")),
    ]
)
pipeline.fit(X_train, y_train)
print(f"With the defaults: held-out accuracy {pipeline.score(X_test, y_test):.4f}")
print(f"Chosen from the data: {pipeline['cnn'].auto_params_}\n")

# %%
# The search
# ----------
#
# The default, "auto", is among the candidates. With ``n_jobs=2`` the scores equal those
# of ``n_jobs=1`` to the last bit.

search = GridSearchCV(
    pipeline,
    {"cnn__lr": ["auto", 4e-3], "cnn__filters": ["auto", (48, 96)]},
    cv=3,
    n_jobs=2,
)
search.fit(X_train, y_train)
print("   lr     filters    mean    std   (accuracy over 3 folds)")
results = search.cv_results_
for place in np.argsort(results["rank_test_score"]):
    params = results["params"][place]
    mean, std = results["mean_test_score"][place], results["std_test_score"][place]
    print(f"{params['cnn__lr']!s:>5}  {params['cnn__filters']!s:>10}  {mean:.4f}  {std:.4f}")
print(f"\nBest: {search.best_params_}")
print(f"Held-out accuracy of the best: {search.score(X_test, y_test):.4f}\n")

# %%
# The differences between the candidates are no larger than their standard deviations:
# on these data, the search has little to gain.
#
# Save, and load in a new process
# -------------------------------
#
# A saved model gives the same probabilities to the last bit.

with tempfile.TemporaryDirectory() as folder:
    model, images, answers = (str(Path(folder) / name) for name in ("clf.joblib", "X", "y"))
    joblib.dump(search.best_estimator_, model)
    joblib.dump(X_test, images)
    elsewhere = (
        "import sys, joblib; model, images, answers = sys.argv[1:];"
        "joblib.dump(joblib.load(model).predict_proba(joblib.load(images)), answers)"
    )
    subprocess.run([sys.executable, "-c", elsewhere, model, images, answers], check=True)
    identical = np.array_equal(joblib.load(answers), search.predict_proba(X_test))

print(f"Saved, loaded in a fresh process: predictions bit-identical: {identical}")
if not identical:
    sys.exit("The loaded model predicts something else.")

# %%
# Remaining mistakes
# ------------------
#
# The held-out digits with the largest loss. Wrong answers have an orange title; the
# others were right, but only just. This picture is the only part of the example that
# needs matplotlib.

if find_spec("matplotlib"):
    import matplotlib.pyplot as plt

    from skcnn.inspection import MistakesDisplay

    MistakesDisplay.from_predictions(y_test, search.predict_proba(X_test), X_test)
    plt.show()
