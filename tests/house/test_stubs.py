"""Every compiled module has a stub beside it; that they agree is checked by stubtest."""

from pathlib import Path

CORE = Path(__file__).parents[2] / "src" / "core"


def without_stub(core: Path) -> list[str]:
    return [
        str(path.relative_to(core))
        for path in sorted(core.rglob("*.pyx"))
        if not path.with_suffix(".pyi").exists()
    ]


def test_every_compiled_module_has_a_stub() -> None:
    assert without_stub(CORE) == []


def test_a_missing_stub_is_seen(tmp_path: Path) -> None:
    (tmp_path / "node.pyx").touch()

    assert without_stub(tmp_path) == ["node.pyx"]
