"""Signing in, on our own auth service."""

import pytest
from tests.api.auth.flows import FLOWS, Flow, Service

from firekeep.emulator import Emulator

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.__name__ for flow in FLOWS])
async def test_sign_in(flow: Flow) -> None:
    async with Emulator() as server:
        await flow(Service(server.address, server.accounts.project))
