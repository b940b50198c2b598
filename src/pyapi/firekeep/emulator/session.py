"""One client's session: its requests, its listens, and what it wants written at the end."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import anyio

from firekeep.emulator import messages
from firekeep.emulator.identity import NOBODY, Identity, LoginRefused, Verifier
from firekeep.emulator.listens import Listen, QueryListen
from firekeep.emulator.messages import Request
from firekeep.emulator.namespace import Namespace, read_path, read_piece, read_update
from firekeep.emulator.on_disconnect import OnDisconnect
from firekeep.emulator.permissions import Permissions
from firekeep_core.errors import InvalidArgument, ProtocolError
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.node import Node
from firekeep_core.snap.path import ROOT, Path
from firekeep_core.wire.compound_hash import differing_ranges

__all__ = ["Outlet", "Refusals", "Session"]

Refusals = Callable[[Request], tuple[str, str] | None]
"""Gives the status and the text to refuse a request with, None to let it be done."""

DENIED = ("permission_denied", "Permission denied")
STALE = ("datastale", "Transaction hash does not match")

_logger = logging.getLogger("firekeep.emulator")


class Outlet(Protocol):
    """What a session needs of its connection."""

    session_id: str
    credential: str | None

    def push(self, text: str) -> None:
        """Send a message that answers no request."""
        ...

    def answer(self, action: str, text: str) -> None:
        """Send the answer to a request of that action."""
        ...


class Session:
    """Does what one client asks, one request after the other, each answered once.

    Source: wire §3.
    """

    def __init__(
        self,
        connection: Outlet,
        namespace: Namespace,
        refusals: Refusals,
        permissions: Permissions | None = None,
    ) -> None:
        self.connection = connection
        self.namespace = namespace
        self.identity = NOBODY
        """Whom the client acts for at present."""
        self.identity_changed = anyio.Event()
        """Set when that, or the clock that it lives by, has changed; then it is another event."""
        self._refusals = refusals
        self._permissions = permissions or Permissions(Verifier(namespace.clock))
        # What is to be done at the end is done for whoever asked, signed in or not any more.
        self._author = NOBODY
        self._listens: dict[tuple[Path, str], Listen] = {}
        self._on_disconnect = OnDisconnect()
        self._is_login_refused = False
        self._has_ended = False
        self._actions: dict[str, Callable[[Request], None]] = {
            "s": self._acknowledge,
            "q": self._listen,
            "n": self._unlisten,
            "g": self._get,
            "p": self._put,
            "m": self._merge,
            "o": self._on_disconnect_put,
            "om": self._on_disconnect_merge,
            "oc": self._on_disconnect_cancel,
            "auth": self._login,
            "gauth": self._login,
            "unauth": self._logout,
            "appcheck": self._acknowledge,
            "unappcheck": self._acknowledge,
            "unappeck": self._acknowledge,
        }

    def begin(self, host: str) -> None:
        """Send the handshake; `host` is where the client is to connect to the next time."""
        now_ms = self.namespace.clock.now_ms()
        self.connection.push(messages.handshake(now_ms, host, self.connection.session_id))

    def receive(self, message: bytes | bytearray) -> None:
        """Do what a whole message says.

        Raises:
            ProtocolError: the message has not the form that the protocol demands.
        """
        request = messages.decode(message)
        if isinstance(request, str):
            if request == "p":
                self.connection.push(messages.pong())
            return
        if self._is_login_refused:
            # What was sent behind the login counts on it; the client sends it again (wire §3.3).
            return
        refusal = self._refusals(request)
        if refusal is not None:
            self._refuse(request, *refusal)
            self._is_login_refused = request.action in ("auth", "gauth")
            return
        action = self._actions.get(request.action)
        if action is None:
            self._refuse(request, "failure", f"Unknown action {request.action!r:.40}")
            return
        try:
            action(request)
        except InvalidArgument as error:
            self._refuse(request, "failure", str(error))

    def end(self) -> None:
        """Forget the listens and write what was to be written on disconnect, once."""
        if self._has_ended:
            return
        self._has_ended = True
        for listen in self._listens.values():
            self.namespace.subscriptions.remove(listen)
        self._listens.clear()
        writes = [
            piece
            for piece in self._on_disconnect.take()
            if self._permissions.allows_writing(self._author, self.namespace, piece[0])
        ]
        self.namespace.commit(ROOT, writes)

    def revoke(self, path: Path, query: Mapping[str, object] | None) -> bool:
        """End a listen as if it were no longer permitted; return whether there was one."""
        name = path, _query_text(query)
        if name not in self._listens:
            return False
        self._revoke(name)
        return True

    def review(self) -> None:
        """End every listen that is not permitted any more."""
        for path, query in list(self._listens):
            if not self._may_read(path):
                self._revoke((path, query))

    def lose_identity(self, status: str, text: str) -> None:
        """Tell the client that its credential counts no more; from here on it is nobody."""
        self.connection.push(messages.auth_revoked(status, text))
        self._become(NOBODY, None)
        self.review()

    def check_identity(self) -> None:
        """Do that if time or a revocation has made it so."""
        refusal = self._permissions.verifier.refusal(self.identity)
        if refusal is not None:
            self.lose_identity(*refusal)

    def wake(self) -> None:
        """Let whoever waits for a change of the identity look again."""
        self.identity_changed.set()
        self.identity_changed = anyio.Event()

    def _become(self, identity: Identity, credential: str | None) -> None:
        self.identity = identity
        self.connection.credential = credential
        self.wake()

    def _revoke(self, name: tuple[Path, str]) -> None:
        listen = self._listens.pop(name)
        self.namespace.subscriptions.remove(listen)
        self.connection.push(messages.listen_revoked(listen.path, listen.query))

    def _may_read(self, path: Path) -> bool:
        return self._permissions.allows_reading(self.identity, self.namespace, path)

    def _may_write(self, path: Path) -> bool:
        return self._permissions.allows_writing(self.identity, self.namespace, path)

    # Requests.

    def _acknowledge(self, request: Request) -> None:
        self._answer(request)

    def _listen(self, request: Request) -> None:
        path = _place_of(request)
        if not self._may_read(path):
            self._refuse(request, *DENIED)
            return
        name = _name_of(request, path)
        known = self._listens.pop(name, None)
        if known is not None:
            self.namespace.subscriptions.remove(known)
        listen = self._new_listen(path, request.body.get("q"), request.body.get("t"))
        value = self.namespace.root.get(path)
        self._listens[name] = listen
        self.namespace.subscriptions.add(listen, value)
        self._send_initial(request, listen, listen.entitled(value))
        self._answer(request, {})

    def _new_listen(self, path: Path, query: object, tag: object) -> Listen:
        if query is None or tag is None:
            # The data of a query without a tag would be taken for everything there is: so it is.
            return Listen(self.connection, path)
        if not isinstance(tag, int) or not isinstance(query, dict):
            raise ProtocolError(f"listen with tag {tag!r:.40} and query {query!r:.80}")
        form = cast("dict[str, object]", query)
        return QueryListen(self.connection, path, form, QueryParams.from_wire(form), tag)

    def _send_initial(self, request: Request, listen: Listen, node: Node) -> None:
        """Send what the client lacks, judging by the hashes of what it holds."""
        digest, ranges = request.body.get("h", ""), request.body.get("ch")
        if hash_v1(node) == digest:
            return
        if isinstance(ranges, dict):
            hashes, ends = _compound_hash(cast("dict[str, object]", ranges))
            differing = differing_ranges(node, hashes, ends)
            # Equal ranges under unequal hashes hide a priority (wire §4.5): send everything.
            if differing:
                self.connection.push(messages.range_merge(listen.path, differing, listen.tag))
                return
        self.connection.push(messages.overwrite(listen.path, node, listen.tag))

    def _unlisten(self, request: Request) -> None:
        listen = self._listens.pop(_name_of(request, _place_of(request)), None)
        if listen is not None:
            self.namespace.subscriptions.remove(listen)
        self._answer(request)

    def _get(self, request: Request) -> None:
        path = _place_of(request)
        if not self._may_read(path):
            self._refuse(request, *DENIED)
            return
        params = QueryParams.from_wire(request.body.get("q") or {})
        self._answer(request, params.filter(self.namespace.root.get(path)))

    def _put(self, request: Request) -> None:
        path = _path_of(request)
        if not self._may_write(path):
            self._refuse(request, *DENIED)
            return
        piece = read_piece(path, _data_of(request))
        digest = request.body.get("h")
        if digest is not None and not self.namespace.matches(path, _text(digest, "h")):
            self._refuse(request, *STALE)
            return
        self.namespace.commit(path, [piece])
        self._answer(request)

    def _merge(self, request: Request) -> None:
        path = _path_of(request)
        pieces = read_update(path, _data_of(request))
        if not all(self._may_write(place) for place, _ in pieces):
            self._refuse(request, *DENIED)
            return
        self.namespace.commit(path, pieces)
        self._answer(request)

    def _on_disconnect_put(self, request: Request) -> None:
        path = _path_of(request)
        if not self._may_write(path):
            self._refuse(request, *DENIED)
            return
        self._author = self.identity
        self._on_disconnect.set(*read_piece(path, _data_of(request)))
        self._answer(request)

    def _on_disconnect_merge(self, request: Request) -> None:
        pieces = read_update(_path_of(request), _data_of(request))
        if not all(self._may_write(place) for place, _ in pieces):
            self._refuse(request, *DENIED)
            return
        self._author = self.identity
        self._on_disconnect.update(pieces)
        self._answer(request)

    def _on_disconnect_cancel(self, request: Request) -> None:
        self._on_disconnect.cancel(_path_of(request))
        self._answer(request)

    def _login(self, request: Request) -> None:
        credential = request.body.get("cred")
        if not isinstance(credential, str):
            raise ProtocolError("login with a credential that is no text")
        variable = request.body.get("authvar")
        try:
            identity = self._permissions.verifier.verify(
                credential,
                variable=cast("dict[str, object]", variable)
                if isinstance(variable, dict)
                else None,
                as_nobody=request.body.get("noauth") is True,
            )
        except LoginRefused as refused:
            self._refuse(request, refused.status, refused.text)
            self._is_login_refused = True
            return
        self._become(identity, credential)
        self._answer(request, identity.answer())
        self.review()

    def _logout(self, request: Request) -> None:
        self._become(NOBODY, None)
        self._answer(request, "unauthenticated")
        self.review()

    def _answer(self, request: Request, data: Node | str | Mapping[str, object] = "") -> None:
        self.connection.answer(request.action, messages.answer(request.number, "ok", data))

    def _refuse(self, request: Request, status: str, text: str) -> None:
        _logger.debug("request %d (%s): %s: %s", request.number, request.action, status, text)
        self.connection.answer(request.action, messages.answer(request.number, status, text))


def _path_of(request: Request) -> Path:
    return read_path(_text(request.body.get("p"), "p"))


def _place_of(request: Request) -> Path:
    return Path.parse(_text(request.body.get("p"), "p"))


def _name_of(request: Request, path: Path) -> tuple[Path, str]:
    """Return what a listen is known by: a query by itself, if it has a tag."""
    return path, "" if request.body.get("t") is None else _query_text(request.body.get("q"))


def _data_of(request: Request) -> Any:
    if "d" not in request.body:
        raise ProtocolError(f"request {request.action!r} without 'd'")
    return request.body["d"]


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"request with {name!r}: {value!r:.80}, which is no text")
    return value


def _query_text(query: object) -> str:
    """Return one text for equal queries, whatever the order of their members."""
    return "" if query is None else json.dumps(query, sort_keys=True)


def _compound_hash(form: Mapping[str, object]) -> tuple[list[str], list[str]]:
    hashes, ends = form.get("hs"), form.get("ps")
    if isinstance(hashes, list) and isinstance(ends, list):
        texts = [*cast("list[object]", hashes), *cast("list[object]", ends)]
        if all(isinstance(text, str) for text in texts):
            return cast("list[str]", hashes), cast("list[str]", ends)
    raise ProtocolError(f"listen with a compound hash {form!r:.80}")
