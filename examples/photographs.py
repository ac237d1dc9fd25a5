"""A folder of photographs: written, loaded, learned; then new files are predicted.

The photographs are cut from the two that come with scikit-learn, a temple in
China and a flower, at different sizes and angles. Training and test are from
different halves of each. Needs Pillow (`pip install "skcnn[images]"`) and takes
less than a minute.
"""

import tempfile
from pathlib import Path

import joblib
import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_image
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import ScratchCNNClassifier
from skcnn.datasets import load_image_folder, load_images


def write_cuttings(half, folder, n, rng):
    """Write `n` squares of a photograph, turned by up to 30 degrees and of other brightness."""
    folder.mkdir(parents=True)
    width, height = half.size
    for k in range(n):
        side = int(rng.integers(70, 140))
        reach = side * 0.7  # a turned square's corner is as far from its middle
        x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
        turned = half.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC, center=(x, y))
        left, top = round(x - side / 2), round(y - side / 2)
        cutting = turned.crop((left, top, left + side, top + side))
        lit = ImageEnhance.Brightness(cutting).enhance(rng.uniform(0.6, 1.3))
        lit.save(folder / f"{k:03}.jpg", quality=85)


rng = np.random.default_rng(0)
how = {"shape": (32, 32), "color": "rgb"}  # the same for training and for what is predicted

with tempfile.TemporaryDirectory() as place:
    photographs = Path(place)
    for name in ("china", "flower"):
        photograph = Image.fromarray(load_sample_image(f"{name}.jpg"))
        width, height = photograph.size
        left = photograph.crop((0, 0, width // 2, height))
        right = photograph.crop((width // 2, 0, width, height))
        write_cuttings(left, photographs / "train" / name, 150, rng)
        write_cuttings(right, photographs / "test" / name, 50, rng)

    train = load_image_folder(photographs / "train", **how)
    test = load_image_folder(photographs / "test", **how)
    print(train.DESCR, "\n")

    clf = ScratchCNNClassifier(random_state=0)
    clf.fit(train.images, train.target)
    print(f"Accuracy on the other halves: {clf.score(test.images, test.target):.2f}")
    print(f"Classes {', '.join(test.target_names)}; rows are true, columns predicted:")
    print(confusion_matrix(test.target, clf.predict(test.images)), "\n")

    # A new file, of another size and proportion, with the very same preprocessing.
    new = photographs / "new.png"
    Image.fromarray(load_sample_image("flower.jpg")[100:300, 350:600]).save(new)
    (probabilities,) = clf.predict_proba(load_images(new, **how))
    for name, probability in zip(train.target_names, probabilities, strict=True):
        print(f"{new.name}: {name} {probability:.3f}")

    # From files to predictions in one estimator, which is saved with its preprocessing.
    model = make_pipeline(FunctionTransformer(load_images, kw_args=how), clf)
    joblib.dump(model, photographs / "model.joblib")
    answers = joblib.load(photographs / "model.joblib").predict([new])
    print(f"The saved pipeline: {train.target_names[answers]}")
