"""Law 1: who may import whom. Rows of the core first, then rows of the package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CORE = "firekeep_core"
#: Each package of the core and what stands behind its arrow.
CORE_ROWS: dict[str, set[str]] = {
    "errors": set(),
    "snap": set(),
    "query": {"snap"},
    "operation": {"snap", "query"},
    "sync": {"snap", "query", "operation"},
    "store": {"snap", "query", "operation"},
    "wire": {"snap", "query", "operation"},
}

#: Each module or package of firekeep, and its row.
ROW_OF: dict[str, str] = {
    **dict.fromkeys(
        ["exceptions", "types", "config", "url", "server_value", "push_id", "status", "web_token"],
        "first",
    ),
    "engine": "engine",
    "net": "net",
    "storage": "storage",
    "auth": "auth",
    "driver": "driver",
    "emulator": "emulator",
    "testing": "outer",
    "cli": "outer",
    "demo": "outer",
    "__main__": "outer",
    "__init__": "outer",
}
#: What a row may import of the core, and of the rows of firekeep besides itself and the first.
ROWS: dict[str, tuple[set[str], set[str]]] = {
    "first": ({"snap"}, set()),
    "engine": ({"snap", "query", "operation", "sync", "wire"}, set()),
    "net": ({"snap", "wire"}, set()),
    "storage": ({"snap", "query", "operation", "store"}, set()),
    "auth": (set(), {"net"}),
    "driver": (
        {"snap", "query", "operation", "sync", "wire"},
        {"engine", "net", "storage", "auth"},
    ),
    "api": ({"snap", "query", "sync"}, {"driver", "engine", "net", "storage", "auth"}),
    "emulator": ({"snap", "query", "operation", "wire"}, {"net", "storage"}),
    "outer": ({"snap", "query"}, {"api", "driver", "net", "storage", "auth", "emulator"}),
}
#: Parts of the driver that have a file of their own.
DRIVER_PARTS = {
    "blocking",
    "callbacks",
    "clock",
    "connection",
    "delivery",
    "draining",
    "forgotten",
    "gate",
    "identity",
    "pending",
    "storing",
    "timer",
    "wanted",
    "write",
}
#: Modules that nobody may import outside the row named (foreign packages have one owner).
FOREIGN = {
    "websockets": {"net", "emulator"},
    "h11": {"net", "emulator"},
    "httpx": {"net"},
    "google": {"auth"},
    "keyring": {"auth"},
    "cbor2": set[str](),
    "rocksdict": {"storage"},
}
#: The same for the core, in which one module may have one.
CORE_FOREIGN = {"cbor2": "core/firekeep_core/store/record"}

STATEMENT = re.compile(
    r"^\s*(?:from\s+([.\w]+)\s+c?import\s+([\w*, ()]*)|c?import\s+([\w., ]+))", re.MULTILINE
)


def imports(path: Path, package: str) -> Iterator[str]:
    """Give the absolute name of everything that a file imports; `package` is where it lies."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name
            elif isinstance(node, ast.ImportFrom):
                base = resolve("." * node.level + (node.module or ""), package)
                yield from (f"{base}.{alias.name}" for alias in node.names)
        return
    for source, names, plain in STATEMENT.findall(text):
        if plain:
            yield from (name.strip() for name in plain.split(","))
        elif names.strip(" ()"):
            base = resolve(source, package)
            yield from (f"{base}.{name.strip(' ()')}" for name in names.split(","))
        else:
            yield resolve(source, package)


def resolve(name: str, package: str) -> str:
    """Make a relative module name absolute."""
    if not name.startswith("."):
        return name
    rest = name.lstrip(".")
    parts = package.split(".")
    parts = parts[: len(parts) - (len(name) - len(rest) - 1)]
    return ".".join([*parts, rest] if rest else parts)


def row_of(module: str) -> str:
    """Give the row of a module of firekeep, named from the package on."""
    top = module.split(".")[0]
    if top in DRIVER_PARTS:
        return "driver"
    return ROW_OF.get(top, "api")


def violations(root: Path) -> list[str]:
    """Give every import below `root` (a `src` directory) that goes the wrong way."""
    found: list[str] = []
    core = root / "core" / CORE
    for path in sorted(core.rglob("*")):
        if path.suffix in (".py", ".pyx", ".pxd", ".pyi") and path.parent != core:
            row = path.relative_to(core).parts[0]
            package = ".".join((CORE, *path.relative_to(core).parent.parts))
            for name in imports(path, package):
                found += _check_core(path.relative_to(root), row, name)
    api = root / "pyapi" / "firekeep"
    for path in sorted(api.rglob("*.py")):
        relative = path.relative_to(api)
        package = ".".join(("firekeep", *relative.parent.parts))
        row = row_of(".".join(relative.with_suffix("").parts))
        for name in imports(path, package):
            found += _check_api(path.relative_to(root), row, name)
    return found


def _check_core(path: Path, row: str, name: str) -> list[str]:
    top = name.split(".")
    if top[0] == "firekeep":
        return [f"{path} imports {name}: the core knows no firekeep"]
    if top[0] in FOREIGN or top[0] == "anyio":
        if path.with_suffix("").as_posix() == CORE_FOREIGN.get(top[0]):
            return []
        return [f"{path} imports {name}: the core performs nothing"]
    if top[0] != CORE or len(top) < 2 or top[1] in (row, "errors"):
        return []
    return [] if top[1] in CORE_ROWS[row] else [f"{path} imports {top[1]}"]


def _check_api(path: Path, row: str, name: str) -> list[str]:
    top = name.split(".")
    core, rows = ROWS[row]
    if top[0] in FOREIGN and row not in FOREIGN[top[0]]:
        return [f"{path} imports {top[0]}"]
    if top[0] == CORE:
        allowed = len(top) < 2 or top[1] == "errors" or top[1] in core
        return [] if allowed else [f"{path} imports {CORE}.{top[1]}"]
    if top[0] != "firekeep" or len(top) < 2:
        return []
    other = row_of(top[1])
    if other in (row, "first") or other in rows or top[1] == "__version__":
        return []
    return [f"{path} ({row}) imports {name} ({other})"]
