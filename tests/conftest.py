"""Fixtures that every test may use."""

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("firekeep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("firekeep")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every asynchronous test on both event loops."""
    backend: str = request.param
    return backend
