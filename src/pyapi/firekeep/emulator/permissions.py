"""Who may read and write what, for want of rules: as a test says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from firekeep.emulator.identity import Identity, Verifier
from firekeep.emulator.namespace import Namespace
from firekeep_core.snap.path import Path

__all__ = ["Access", "Permissions", "Permit"]

Action = Literal["read", "write"]


@dataclass(frozen=True, slots=True)
class Access:
    """Something that a client wants to do."""

    action: Action
    path: Path
    """Where, as a `firekeep.Path`; of a write its last key may be ``.priority``."""
    identity: Identity

    @property
    def uid(self) -> str | None:
        """Who wants it; None is nobody."""
        return self.identity.uid


Permit = Callable[[Access], bool]
"""Says whether something is allowed; administrators are not asked about."""


class Permissions:
    """What credentials and clients are asked about; one for all databases of a server."""

    def __init__(self, verifier: Verifier, permit: Permit | None = None) -> None:
        self.verifier = verifier
        self.permit = permit
        """None allows everything."""

    def allows_reading(self, identity: Identity, namespace: Namespace, path: Path) -> bool:
        """Return whether a client may read, or listen, at a location."""
        return namespace.allows_reading(path) and self._allows("read", path, identity)

    def allows_writing(self, identity: Identity, namespace: Namespace, path: Path) -> bool:
        """Return whether a client may write a location."""
        return namespace.allows_writing(path) and self._allows("write", path, identity)

    def _allows(self, action: Action, path: Path, identity: Identity) -> bool:
        if self.permit is None or identity.is_admin:
            return True
        return self.permit(Access(action, path, identity))
