"""Saliencies beside those that PyTorch computes of the same networks."""

from itertools import pairwise

import numpy as np
import pytest

from skcnn import ScratchCNNClassifier
from skcnn.inspection import IntegratedGradients, saliency

torch = pytest.importorskip("torch")
from tests.interop.test_pytorch import module_of, random_network  # noqa: E402

pytestmark = pytest.mark.slow


def fitted(seed):
    """A random network with BatchNorm, branches and strides, and its PyTorch modules."""
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    X = 2 + 5 * rng.normal(size=(8, *network.input_shape))
    clf = ScratchCNNClassifier(
        list(network.layers[:-1]), max_iter=1, lr=1e-4, random_state=0,
        data_format="channels_first",
    ).fit(X, np.arange(8) % 3)  # fmt: skip
    network = clf.network_
    modules = []
    for layer, shape, arrays in zip(
        network.layers, network.shapes, network.unpack(clf.weights_), strict=False
    ):
        module, _ = module_of(layer, shape, arrays)
        modules.append(module)
    body = torch.nn.Sequential(*modules).eval()
    return clf, X, body


@pytest.mark.parametrize("seed", range(100))
def test_gradients_and_integrated_gradients(seed):
    clf, X, body = fitted(seed)
    mean, scale = (
        torch.from_numpy(v).reshape(-1, 1, 1) for v in (clf.input_mean_, clf.input_scale_)
    )

    def gradients(x):
        x = torch.from_numpy(x).requires_grad_()
        body((x - mean) / scale)[:, 1].sum().backward()
        return x.grad.numpy()

    np.testing.assert_allclose(saliency(clf, X, 1), gradients(X), rtol=1e-8, atol=1e-10)
    nodes, weights = np.polynomial.legendre.leggauss(10)
    path = sum(w / 2 * gradients((a + 1) / 2 * X) for a, w in zip(nodes, weights, strict=True))
    found = saliency(clf, X, 1, method=IntegratedGradients(n_steps=10))
    np.testing.assert_allclose(found, X * path, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", range(30))
def test_grad_cam(seed):
    clf, X, body = fitted(seed)
    mean, scale = (
        torch.from_numpy(v).reshape(-1, 1, 1) for v in (clf.input_mean_, clf.input_scale_)
    )
    kinds = ["Conv2d", "ConvTranspose2d", "Residual", "Add", "Concatenate", "Frozen"]
    last = [i for i, layer in enumerate(clf.layers_) if type(layer).__name__ in kinds]
    if not last:
        pytest.skip("a network without convolutions has no Grad-CAM")
    shapes = list(pairwise(clf.network_.shapes))
    position = last[-1]
    while shapes[position + 1][0] == shapes[position + 1][1]:
        position += 1
    A = body[: position + 1]((torch.from_numpy(X) - mean) / scale).detach().requires_grad_()
    body[position + 1 :](A)[:, 2].sum().backward()
    with torch.no_grad():
        a = A.grad.mean(dim=(2, 3), keepdim=True)
        small = torch.relu((a * A).sum(dim=1, keepdim=True))
        large = torch.nn.functional.interpolate(
            small, size=X.shape[2:], mode="bilinear", align_corners=False
        )
    found = saliency(clf, X, 2, method="grad_cam")
    expected = np.broadcast_to(large.numpy(), X.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
