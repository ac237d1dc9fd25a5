"""
A folder of photographs
=======================

One folder per class is enough: a network is trained on the files and predicts new ones,
with a model that is saved together with its preprocessing. Then a heat map shows where
in a photograph the network found its evidence.

The photographs are crops of the two that come with scikit-learn, a temple in China and
a flower, at different sizes and angles. Needs Pillow and matplotlib:
``pip install ".[images,plot]"``.
"""

import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_image
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import ScratchCNNClassifier
from skcnn.datasets import load_image_folder, load_images
from skcnn.inspection import SaliencyDisplay

# %%
# The folders
# -----------
#
# You will have such folders already. Here we create them: squares of a photograph,
# rotated by up to 30 degrees, lighter and darker. The left half of each photograph is
# for training, the right half for testing.


def write_cuttings(half, folder, n, rng):
    """Write `n` squares of a photograph, rotated by up to 30 degrees, lighter and darker."""
    folder.mkdir(parents=True)
    width, height = half.size
    for k in range(n):
        side = int(rng.integers(70, 140))
        reach = side * 0.7  # a rotated square's corner is as far from its centre
        x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
        turned = half.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC, center=(x, y))
        left, top = round(x - side / 2), round(y - side / 2)
        cutting = turned.crop((left, top, left + side, top + side))
        lit = ImageEnhance.Brightness(cutting).enhance(rng.uniform(0.6, 1.3))
        lit.save(folder / f"{k:03}.jpg", quality=85)


rng = np.random.default_rng(0)
place = tempfile.TemporaryDirectory()
photographs = Path(place.name)
for name in ("china", "flower"):
    photograph = Image.fromarray(load_sample_image(f"{name}.jpg"))
    width, height = photograph.size
    left = photograph.crop((0, 0, width // 2, height))
    right = photograph.crop((width // 2, 0, width, height))
    write_cuttings(left, photographs / "train" / name, 150, rng)
    write_cuttings(right, photographs / "test" / name, 50, rng)

# %%
# From folders to arrays
# ----------------------
#
# Every image gets the same height and width. Use the same ``shape`` and ``color`` for
# training and for later predictions; ``target_names`` gives the classes of both folders
# the same numbers.

how = {"shape": (32, 32), "color": "rgb"}
train = load_image_folder(photographs / "train", **how)
test = load_image_folder(photographs / "test", target_names=train.target_names, **how)
print(f"{len(train.images)} images of shape {train.images.shape[1:]}, {train.images.dtype}")
print(f"Classes: {', '.join(train.target_names)}")

# %%
# Training
# --------
#
# Bytes from 0 to 255 are fine as they are.

clf = ScratchCNNClassifier(random_state=0)
clf.fit(train.images, train.target)
print(f"Accuracy on the other halves: {clf.score(test.images, test.target):.2f}")
print(f"Classes {', '.join(test.target_names)}; rows are true, columns predicted:")
print(confusion_matrix(test.target, clf.predict(test.images)))

# %%
# A new file
# ----------
#
# It has another size and proportion, and goes through the same preprocessing. A
# pipeline keeps the two together: it takes paths, and is saved as a whole.

new = photographs / "new.png"
Image.fromarray(load_sample_image("flower.jpg")[100:300, 350:600]).save(new)
(probabilities,) = clf.predict_proba(load_images(new, **how))
for name, probability in zip(train.target_names, probabilities, strict=True):
    print(f"{new.name}: {name} {probability:.3f}")

model = make_pipeline(FunctionTransformer(load_images, kw_args=how), clf)
joblib.dump(model, photographs / "model.joblib")
answers = joblib.load(photographs / "model.joblib").predict([new])
print(f"The saved pipeline: {train.target_names[answers]}")

# %%
# The evidence for a prediction
# -----------------------------
#
# Grad-CAM marks where the last convolution found evidence for the predicted class, in
# red.

rows = [8, 13, 42, 59, 63, 92]  # test rows
answers = clf.predict(test.images[rows])
SaliencyDisplay.from_estimator(
    clf, test.images[rows], method="grad_cam", names=test.target_names[answers]
)

# %%
# The heat maps also give a warning. The right half of the temple's photograph shows no
# temple, but sky, a lake and trees; and for a dark background without any flower the
# answer is "flower". All crops of a class come from one photograph, and the network has
# learned to distinguish these two, for which the background is enough. With your own
# photographs, let no object or place appear in both training and test set, and look at
# the heat maps: one that is red in the background shows what was learned.

place.cleanup()
plt.show()
