"""Waiting for something that comes: on any machine, however busy, and not for ever."""

import time
from collections.abc import Callable

PATIENCE = 600
"""Seconds after which a test hangs. Nothing takes as long, also where a machine has much to do."""


def wait_until(condition: Callable[[], object]) -> None:
    """Return as soon as it holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(1e-3)
