"""The demo tells its story, and every check holds."""

import pytest

from firekeep.cli import main
from firekeep.demo import run
from firekeep.demo.checks import Checks

pytestmark = pytest.mark.anyio


async def test_every_check_of_the_demo_holds() -> None:
    lines: list[str] = []

    code = await run(lines.append, lambda text, _colour: text)

    assert code == 0, "\n".join(lines)
    assert lines[-1].startswith("\nall ")


def test_the_command_ends_with_its_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIREBASE_DATABASE_EMULATOR_HOST", "127.0.0.1:1")

    assert main(["demo"]) == 0
    assert "checks held" in capsys.readouterr().out


async def test_a_check_that_fails_fails_the_demo() -> None:
    lines: list[str] = []
    checks = Checks(lines.append, lambda text, _colour: text)

    with checks.step("a step"):
        checks.check("this holds", True)
        checks.check("this does not", False)

    assert not checks.end()
    assert lines == [
        "\n1  a step",
        "   ✓ this holds",
        "   ✗ this does not",
        "\n1 of 2 checks failed",
    ]


async def test_a_step_that_never_ends_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    import anyio

    monkeypatch.setattr("firekeep.demo.checks.PATIENCE_S", 0.01)
    checks = Checks(lambda _line: None, lambda text, _colour: text)

    with checks.step("for ever"):
        await anyio.sleep_forever()

    assert not checks.end()
