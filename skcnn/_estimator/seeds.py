"""From `random_state` to a seed."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["draw_seed"]


def draw_seed(random_state: Any) -> int:
    """A seed for the engine's own streams; given an instance, it is drawn from it."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
