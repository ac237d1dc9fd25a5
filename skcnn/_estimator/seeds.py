"""Seeds drawn from `random_state`."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

__all__ = ["draw_seed"]


def draw_seed(caller: str, random_state: Any) -> int:
    """Draw the seed of a training from an int, a ``RandomState`` or NumPy's global one."""
    try:
        draws = check_random_state(random_state)
    except (TypeError, ValueError):
        raise ValueError(
            f"{caller}: random_state must be None, an int from 0 to 2**32 - 1 or an instance of "
            f"numpy.random.RandomState, got {random_state!r}."
        ) from None
    return int(draws.randint(np.iinfo(np.int32).max))
