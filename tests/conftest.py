import pytest

from tests.shared import X, small, y


@pytest.fixture(scope="session")
def fitted():
    """One model for the tests that only look at it."""
    return small().fit(X, y)
