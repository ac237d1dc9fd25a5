"""The main job: fit, search over `lr` and `filters` in a pipeline, save and use the winner.

Uses the digits that come with scikit-learn; takes about a minute on two cores.
"""

import subprocess
import sys
import tempfile
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

pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("cnn", ScratchCNNClassifier(random_state=0, dtype="float32")),
    ]
)
pipeline.fit(X_train, y_train)
print(f"Untouched: held-out accuracy {pipeline.score(X_test, y_test):.4f}")
print(f"What it chose: {pipeline['cnn'].auto_params_}\n")

# what the untouched classifier chooses is among the candidates

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
