import hypothesis
import pytest

from tests.shared import X, small, y

# no test depends on how fast the machine is; all else is as in the profile that was chosen
hypothesis.settings.register_profile(
    "any machine",
    hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def fitted():
    """One model for the tests that only look at it."""
    return small().fit(X, y)
