"""The two-block network as a PyTorch module, for a search over its filters."""

import numpy as np
from torch import Tensor, nn


def as_images(X: np.ndarray) -> np.ndarray:
    """Convert flat digits to images in the dtype that PyTorch expects."""
    return X.reshape(-1, 1, 8, 8).astype(np.float32) / 16


class TwoBlocks(nn.Module):
    """Two convolutions 3 x 3 with pooling, and 64 hidden units."""

    def __init__(self, filters: tuple[int, int] = (16, 32)) -> None:
        super().__init__()
        first, second = filters
        self.layers = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(4 * second, 64), nn.ReLU(), nn.Linear(64, 10),
        )  # fmt: skip

    def forward(self, X: Tensor) -> Tensor:
        """Return the logits."""
        return self.layers(X)
