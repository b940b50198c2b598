"""Signing in on the official auth emulator, npm's firebase-tools; its tokens on our database."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.auth.flows import FLOWS, Flow, Service
from tests.interop.node_peer import install

import firekeep
from firekeep.emulator import Emulator

pytestmark = pytest.mark.anyio

PROJECT = "demo-firekeep"
OPTIONS = ["--only=auth", f"--project={PROJECT}"]
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 10.0


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until_ready(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    """Return when the emulator answers."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{address}/", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the emulator did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def official(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run the official emulator for all tests of this file."""
    program = install("auth_emulator") / "node_modules" / "firebase-tools" / "lib" / "bin"
    home = tmp_path_factory.mktemp("auth-emulator")
    port, hub, logging = free_ports(3)
    emulators: dict[str, Any] = {
        "auth": {"host": "127.0.0.1", "port": port},
        "hub": {"host": "127.0.0.1", "port": hub},
        "logging": {"host": "127.0.0.1", "port": logging},
        "ui": {"enabled": False},
        "singleProjectMode": True,
    }
    (home / "firebase.json").write_text(json.dumps({"emulators": emulators}))
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["node", program / "firebase.js", "emulators:start", *OPTIONS],
            cwd=home,
            # It keeps its settings at home, and asks nothing where nobody could answer.
            env={**os.environ, "CI": "1", "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_ready(process, f"127.0.0.1:{port}", log)
            yield Service(f"127.0.0.1:{port}", PROJECT)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def service(official: Service) -> Service:
    """Return the official emulator without any users."""
    url = f"http://{official.address}/emulator/v1/projects/{PROJECT}/accounts"
    with urllib.request.urlopen(urllib.request.Request(url, method="DELETE")):
        return official


@pytest.mark.parametrize("flow", FLOWS, ids=[flow.__name__ for flow in FLOWS])
async def test_sign_in(flow: Flow, service: Service) -> None:
    await flow(service)


async def test_our_database_takes_its_tokens(service: Service) -> None:
    auth = service.auth()
    user = await auth.create_user_with_email_and_password("ada@example.com", "secret1")

    async with (
        Emulator(permit=lambda access: access.uid == access.path.front) as server,
        firekeep.open(server.url, auth=auth) as db,
    ):
        await db.reference(user.uid).child("name").set("Ada")
        with pytest.raises(firekeep.exceptions.PermissionDenied):
            await db.reference("somebody else").set(1)

        assert server.value() == {user.uid: {"name": "Ada"}}
