"""One client's session with the server: connecting, the handshake, credentials, staying alive."""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Literal

from firekeep.config import Config
from firekeep.engine.backoff import Backoff
from firekeep.engine.effects import (
    Connect,
    Disconnect,
    Effect,
    FetchToken,
    Report,
    Send,
    TokenKind,
)
from firekeep.engine.requests import Requests, text_of
from firekeep.exceptions import InvalidUrl, ProtocolError, ServerError, server_error
from firekeep.status import AuthState, ConnectionState
from firekeep.url import DatabaseUrl, read_address
from firekeep_core.wire.message import Handshake, Response

__all__ = ["LAPSE_MARGIN_S", "CredentialRequest", "Interrupt", "Phase", "Session"]

Phase = Literal["disconnected", "fetching", "connecting", "authenticating", "ready"]
"""``fetching``: credentials, before the connection is opened; ``connecting``: until the server's
first message."""

Interrupt = Literal["go_offline", "server_kill"]

# The counter that says which client this is (wire §3.3).
_STATS = {"c": {"sdk.python.firekeep": 1}}

_KEEP_ALIVE = Send("0")
_PING = Send('{"t":"c","d":{"t":"p","d":{}}}')
_AWAITED = {
    "fetching": "credential",
    "connecting": "handshake",
    "authenticating": "answer to the credential",
}

_KINDS: tuple[TokenKind, ...] = ("auth", "app_check")

_INVALID_TOKENS_BEFORE_WARNING = 3
_REDIRECTS_IN_A_ROW = 5
_NEVER = float("inf")
# So close to its end a credential counts as lapsed: clocks differ, and messages take their time.
LAPSE_MARGIN_S = 10.0
# A clock that is off by so much is the likely cause of a credential that is refused.
_SKEW_WORTH_TELLING_MS = 60_000
# What push ids can hold: some time in the year 10889.
_TIME_END_MS = 1 << 48


class CredentialRequest:
    """A login, logout or attestation that awaits its answer."""

    __slots__ = ("kind", "lapses_s", "token")

    def __init__(self, kind: TokenKind, token: str | None, lapses_s: float) -> None:
        self.kind: TokenKind = kind
        self.token = token
        self.lapses_s = lapses_s


class _Credential:
    """One kind of credential: whether there is one, and what the server thinks of it."""

    __slots__ = (
        "expires_s",
        "force",
        "has_provider",
        "is_fetching",
        "lapses_s",
        "margin_s",
        "refresh_s",
        "request",
        "state",
        "token",
    )

    def __init__(self, has_provider: bool) -> None:
        self.has_provider = has_provider
        self.token: str | None = None
        self.expires_s = _NEVER
        """When the server takes it no more, on the monotonic clock."""
        self.lapses_s = _NEVER
        """When it may take that one no more which it has: the last that it has said yes to."""
        self.margin_s = LAPSE_MARGIN_S
        self.refresh_s = _NEVER
        """When another one is to be asked for, likewise."""
        self.force = False
        self.is_fetching = False
        self.request: CredentialRequest | None = None
        self.state: AuthState = "pending" if has_provider else "signed_out"

    def forget(self) -> None:
        """Have no token, and know nothing of one."""
        self.token = None
        self.force = False
        self.refresh_s = self.expires_s = self.lapses_s = _NEVER


class Session:
    """Where the connection stands, and what is due when.

    It knows nothing of data: `Engine` sends those when `phase` has become ``ready``.
    Source: wire §2.5, §5.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        config: Config,
        requests: Requests,
        random: Callable[[], float],
        *,
        has_auth: bool,
        has_app_check: bool,
    ) -> None:
        self._url = url
        self._config = config
        self._requests = requests
        self._random = random
        self._backoff = Backoff(
            minimum_s=config.backoff_min_s,
            maximum_s=config.backoff_max_s,
            factor=config.backoff_factor,
            jitter=config.backoff_jitter,
        )
        self._credentials: dict[TokenKind, _Credential] = {
            "auth": _Credential(has_auth),
            "app_check": _Credential(has_app_check),
        }
        self._interrupts: set[Interrupt] = {"go_offline"}
        self._host = url.address
        self._last_session: str | None = None
        self._attempt = 0
        self._redirects = 0
        self._invalid_tokens = 0
        self._said_hello = False
        self._handshake_at_s: float | None = None
        self._deadline_s: float | None = None
        self._pinged_at_s: float | None = None
        self.connection = 0
        """Changes whenever a connection is no more."""
        self.phase: Phase = "disconnected"
        self.reason: str | None = None
        self.auth_reason: str | None = None
        """Why there is no valid credential, where that is known."""
        self.offset_ms: int | None = None
        self.last_received_s = 0.0
        self.last_sent_s = 0.0
        self.is_paused = False
        """Whether nobody reads from the connection on purpose: silence then means nothing."""

    @property
    def is_open(self) -> bool:
        """Whether the server has greeted this connection."""
        return self.phase in ("authenticating", "ready")

    @property
    def is_interrupted(self) -> bool:
        """Whether the client stays without a connection until `resume`."""
        return bool(self._interrupts)

    @property
    def auth_state(self) -> AuthState:
        """What the server thinks of the credential."""
        return self._credentials["auth"].state

    def has_lapsed(self, now_s: float) -> bool:
        """Return whether a user is known whose credential the server may not take any more."""
        credential = self._credentials["auth"]
        if not credential.has_provider or credential.state == "signed_out":
            return False
        return credential.state == "expired" or now_s >= credential.lapses_s

    def is_refused_in(self, messages: Sequence[object]) -> bool:
        """Return whether messages bring the refusal of the user's credential."""
        if self._credentials["auth"].request is None:
            return False
        waiting = self._requests.outstanding
        refused = [
            waiting.get(message.number)
            for message in messages
            if isinstance(message, Response) and message.status != "ok"
        ]
        # Even an older one than the last: what came before it was asked without a good one.
        return any(isinstance(it, CredentialRequest) and it.kind == "auth" for it in refused)

    @property
    def connection_state(self) -> ConnectionState:
        """The phase in the words of `Status`."""
        if "go_offline" in self._interrupts:
            return "offline"
        if "server_kill" in self._interrupts:
            return "shutdown"
        if self.phase == "disconnected":
            return "waiting"
        if self.phase == "fetching":
            return "connecting"
        return "online" if self.phase == "ready" else self.phase

    def resume(self, now_s: float, out: list[Effect]) -> None:
        """Drop every reason to stay away, and connect at once if there is no connection."""
        self._interrupts.clear()
        self._backoff.reset()
        self._redirects = 0
        if self.phase == "disconnected":
            self._begin_at_once(now_s, out)

    def interrupt(self, why: Interrupt, reason: str | None, out: list[Effect]) -> None:
        """Stay away from the server until `resume`."""
        self._interrupts.add(why)
        self.reason = reason
        self._drop(reason or why, out)
        self._disconnected()

    def redirect(self, host: str, now_s: float, out: list[Effect]) -> None:
        """Go to another host at once, unless sent around too often.

        Raises:
            ProtocolError: that is no host of this database.
        """
        self._host = self._check_host(host)
        self._redirects += 1
        if self._redirects > _REDIRECTS_IN_A_ROW:
            raise ProtocolError(f"redirected {self._redirects} times without a handshake")
        self._drop(f"redirected to {self._host}", out)
        self._disconnected()
        self._backoff.reset()
        self._begin_at_once(now_s, out)

    def token(
        self,
        kind: TokenKind,
        attempt: int,
        token: str | None,
        error: Exception | None,
        now_s: float,
        out: list[Effect],
        *,
        refresh_s: float = _NEVER,
        expires_s: float = _NEVER,
        margin_s: float = LAPSE_MARGIN_S,
    ) -> None:
        """Take a credential that was asked for; None is to be nobody.

        `refresh_s` and `expires_s` are times of the monotonic clock, as far as that of the server
        is known: the handshake puts them right. `margin_s` before its end it counts as lapsed.
        """
        credential = self._credentials[kind]
        if attempt != self._attempt or not credential.is_fetching:
            return
        credential.is_fetching = False
        if error is not None:
            out.append(Report("warning", f"no {kind} credential: {error!r}"))
            if kind == "auth":
                self._missed(credential, error, now_s)
            else:
                self._go_without(credential, now_s, out)
            return
        is_new = token != credential.token
        credential.token = token
        credential.force = False
        credential.refresh_s = refresh_s
        credential.expires_s = expires_s
        credential.margin_s = margin_s
        if self.is_open:
            # A refresh: the session goes on, and nothing is listened to again (I-98).
            if is_new:
                self._present(kind, credential, out)
            else:
                credential.lapses_s = expires_s - margin_s
            return
        credential.lapses_s = _NEVER
        if token is None:
            credential.state = "signed_out"
        elif credential.state != "expired":
            credential.state = "pending"
        self._connect_if_fetched(now_s, out)

    def reconnect(self, reason: str, now_s: float, out: list[Effect], *, is_nobody: bool) -> None:
        """End this session and begin another one at once, with the credential of the moment.

        `is_nobody`: it is known that there will be none.
        """
        credential = self._credentials["auth"]
        credential.forget()
        has_credential = credential.has_provider and not is_nobody
        credential.state = "pending" if has_credential else "signed_out"
        self.auth_reason = None
        self._drop(reason, out)
        self._disconnected()
        if not self._interrupts:
            self._backoff.reset()
            self._begin_at_once(now_s, out)

    def refresh(self, out: list[Effect], kind: TokenKind = "auth", *, force: bool = False) -> None:
        """Ask for another credential, of the same user, without ending the session.

        `force`: the server takes the last one no more.
        """
        credential = self._credentials[kind]
        credential.refresh_s = _NEVER
        if self.is_open and credential.has_provider and not credential.is_fetching:
            credential.is_fetching = True
            out.append(FetchToken(kind, force, self._attempt))

    def _missed(self, credential: _Credential, error: Exception, now_s: float) -> None:
        if self.is_open and credential.token is not None:
            # The one that is held still serves; the next attempt comes well before its end.
            left_s = credential.expires_s - now_s
            credential.refresh_s = now_s + max(1.0, min(60.0, left_s / 2))
            return
        # Whoever it is, it is not nobody: no session is opened without one.
        self.reason = "no auth credential"
        credential.state = "expired"
        self.auth_reason = str(error) or type(error).__name__
        self.failed(now_s)

    def _go_without(self, credential: _Credential, now_s: float, out: list[Effect]) -> None:
        """Be without an attestation: whether that matters, the server says (wire §5.4)."""
        credential.is_fetching = False
        if not self.is_open:
            credential.forget()
            self._connect_if_fetched(now_s, out)

    def _with_skew(self, reason: str) -> str:
        """Add to a reason that the local clock is off, if that is the likely cause."""
        offset_ms = self.offset_ms or 0
        if abs(offset_ms) < _SKEW_WORTH_TELLING_MS:
            return reason
        side = "behind" if offset_ms > 0 else "ahead of"
        return f"{reason}; the local clock is {abs(offset_ms) // 1000} s {side} the server's"

    def set_token(
        self, kind: TokenKind, token: str | None, now_s: float, out: list[Effect]
    ) -> None:
        """Change a credential: tell the server at once, or at the next connection."""
        credential = self._credentials[kind]
        was_fetching, credential.is_fetching = credential.is_fetching, False
        credential.has_provider = token is not None
        credential.token = token
        credential.force = False
        credential.state = "signed_out" if token is None else "pending"
        if self.is_open:
            self._present(kind, credential, out)
        elif was_fetching:
            self._connect_if_fetched(now_s, out)

    def handshake(self, message: Handshake, now_s: float, wall_ms: int, out: list[Effect]) -> None:
        """Take the server's greeting and present the credentials.

        Raises:
            ProtocolError: its host is no host of this database, or its clock no clock.
        """
        host = self._check_host(message.host)
        if not 0 <= message.timestamp_ms < _TIME_END_MS:
            raise ProtocolError(f"the server's clock shows {message.timestamp_ms} ms since 1970")
        # A local server often names itself as nobody can reach it (wire §2.5).
        self._host = host if self._url.secure else self._url.address
        self._last_session = message.session_id
        self._redirects = 0
        self._handshake_at_s = now_s
        self._pinged_at_s = None
        self._deadline_s = now_s + self._config.connect_timeout_s
        offset_ms = message.timestamp_ms - wall_ms
        later_s = (offset_ms - (self.offset_ms or 0)) / 1000
        self.offset_ms = offset_ms
        self.reason = None
        self.phase = "authenticating"
        if not self._said_hello:
            self._said_hello = True
            out.append(self._requests.request("s", _STATS, None))
        for kind in _KINDS:
            credential = self._credentials[kind]
            credential.refresh_s -= later_s
            credential.expires_s -= later_s
            if credential.token is not None:
                self._present(kind, credential, out)
        self._become_ready()

    def answered(
        self, request: CredentialRequest, response: Response, out: list[Effect]
    ) -> ServerError | None:
        """Take the answer to a credential; return why the session cannot go on, if so."""
        credential = self._credentials[request.kind]
        if response.status == "ok":
            credential.lapses_s = request.lapses_s
        if credential.request is not request:
            # A newer one has been presented meanwhile, and its answer counts.
            return None
        credential.request = None
        if response.status == "ok":
            credential.state = "signed_out" if request.token is None else "valid"
            if request.kind == "auth":
                self._invalid_tokens = 0
                self.auth_reason = None
        else:
            text = text_of(response)
            if request.token:
                text = text.replace(request.token, "(the credential)")
            self.refused(request.kind, response.status, text, out)
            if request.kind == "auth":
                return server_error(response.status, text)
        self._become_ready()
        return None

    def refused(self, kind: TokenKind, status: str, text: str, out: list[Effect]) -> None:
        """Forget a credential that the server does not take; the next one is to be a fresh one."""
        credential = self._credentials[kind]
        credential.token = None
        credential.force = True
        credential.state = "expired"
        out.append(Report("warning", f"{kind} credential refused: {server_error(status, text)}"))
        if kind == "auth":
            self.reason = self.auth_reason = str(server_error(status, text))
            if status == "expired_token":
                self.auth_reason = self._with_skew(self.reason)
            self._invalid_tokens += 1
            if self._invalid_tokens >= _INVALID_TOKENS_BEFORE_WARNING:
                self._backoff.raise_to_maximum()

    def restart(self, reason: str, now_s: float, out: list[Effect]) -> None:
        """Give this connection up and plan the next one."""
        self._drop(reason, out)
        self.failed(now_s)

    def failed(self, now_s: float) -> None:
        """Plan the next attempt: the connection has ended or never came about."""
        self._redirects = 0
        if self._handshake_at_s is None:
            self._host = self._url.address
        elif now_s - self._handshake_at_s > self._config.stable_after_s:
            self._backoff.reset()
        self._disconnected()
        if not self._interrupts:
            self._deadline_s = now_s + self._backoff.next_delay_s(self._random())

    def wake(self, now_s: float, out: list[Effect]) -> str | None:
        """Do what is due; return why the connection has to be given up, if so."""
        if self.phase == "disconnected":
            if self._deadline_s is not None and now_s >= self._deadline_s:
                self._begin(now_s, out)
            return None
        if self._deadline_s is not None and now_s >= self._deadline_s:
            return self._awaited_too_long(now_s, out)
        if self.is_open:
            auth = self._credentials["auth"]
            if now_s >= auth.expires_s and auth.token is not None:
                auth.token = None
                auth.force = True
                auth.state = "expired"
                self.auth_reason = self._with_skew("the credential has expired")
                return self.auth_reason
            for kind in _KINDS:
                if now_s >= self._credentials[kind].refresh_s:
                    self.refresh(out, kind)
            return self._stay_alive(now_s, out)
        return None

    def _awaited_too_long(self, now_s: float, out: list[Effect]) -> str | None:
        timeout_s = self._config.connect_timeout_s
        if self.is_paused and self.phase != "fetching":
            # What is awaited may have come long since: it is not read for now.
            self._deadline_s = now_s + timeout_s
            return None
        auth, app_check = self._credentials["auth"], self._credentials["app_check"]
        reason = f"no {_AWAITED[self.phase]} within {timeout_s:g} s"
        if auth.is_fetching:
            auth.state = "expired"
            self.auth_reason = reason
        elif app_check.is_fetching:
            out.append(Report("warning", f"no app_check credential within {timeout_s:g} s"))
            self._go_without(app_check, now_s, out)
            return None
        return reason

    def next_wake_s(self) -> float:
        """Return when `wake` has something to do; infinity for never."""
        times = [float("inf")]
        if self._deadline_s is not None:
            times.append(self._deadline_s)
        if self.is_open:
            auth = self._credentials["auth"]
            times += [credential.refresh_s for credential in self._credentials.values()]
            times.append(auth.expires_s if auth.token is not None else _NEVER)
            times.append(max(self.last_received_s, self.last_sent_s) + self._config.keep_alive_s)
            if self._pinged_at_s is None:
                times.append(self.last_received_s + self._config.ping_after_s)
            else:
                times.append(self._pinged_at_s + self._config.pong_timeout_s)
        return min(times)

    def _stay_alive(self, now_s: float, out: list[Effect]) -> str | None:
        config = self._config
        if self.is_paused:
            self.last_received_s = now_s
        if self._pinged_at_s is not None and self.last_received_s >= self._pinged_at_s:
            self._pinged_at_s = None
        if now_s >= max(self.last_received_s, self.last_sent_s) + config.keep_alive_s:
            out.append(_KEEP_ALIVE)
            self.last_sent_s = now_s
        if self._pinged_at_s is None:
            if now_s >= self.last_received_s + config.ping_after_s:
                out.append(_PING)
                self._pinged_at_s = now_s
        elif now_s >= self._pinged_at_s + config.pong_timeout_s:
            return f"nothing received for {now_s - self.last_received_s:.0f} s"
        return None

    def _begin(self, now_s: float, out: list[Effect]) -> None:
        self._attempt += 1
        self._deadline_s = now_s + self._config.connect_timeout_s
        self.phase = "fetching"
        for kind in _KINDS:
            credential = self._credentials[kind]
            if credential.has_provider:
                credential.is_fetching = True
                out.append(FetchToken(kind, credential.force, self._attempt))
        self._connect_if_fetched(now_s, out)

    def _begin_at_once(self, now_s: float, out: list[Effect]) -> None:
        # The immediate attempt that a reset allows is this one; should it fail, the next waits.
        self._backoff.next_delay_s(self._random())
        self._begin(now_s, out)

    def _connect_if_fetched(self, now_s: float, out: list[Effect]) -> None:
        if any(credential.is_fetching for credential in self._credentials.values()):
            return
        self.phase = "connecting"
        self._deadline_s = now_s + self._config.connect_timeout_s
        out.append(Connect(self._host, self._last_session))

    def _present(self, kind: TokenKind, credential: _Credential, out: list[Effect]) -> None:
        token = credential.token
        request = CredentialRequest(kind, token, credential.expires_s - credential.margin_s)
        credential.request = request
        if kind == "auth":
            action = "unauth" if token is None else "auth" if _is_jwt(token) else "gauth"
            body = {} if token is None else {"cred": token}
        else:
            action = "unappcheck" if token is None else "appcheck"
            body = {} if token is None else {"token": token}
        out.append(self._requests.request(action, body, request))

    def _become_ready(self) -> None:
        if self.phase == "authenticating" and not any(
            credential.request is not None for credential in self._credentials.values()
        ):
            self.phase = "ready"
            self._deadline_s = None

    def _drop(self, reason: str, out: list[Effect]) -> None:
        if self.phase not in ("disconnected", "fetching"):
            out.append(Disconnect(reason))

    def _disconnected(self) -> None:
        self.phase = "disconnected"
        self.connection += 1
        self._deadline_s = None
        self._handshake_at_s = None
        self._pinged_at_s = None
        for credential in self._credentials.values():
            credential.request = None
            credential.is_fetching = False

    def _check_host(self, text: str) -> str:
        """Return a host that the server named, if it may belong to this database."""
        try:
            host = read_address(text)
        except InvalidUrl as error:
            raise ProtocolError(f"the server named an impossible host: {error}") from error
        if self._url.secure and _domain(host) != _domain(self._url.address):
            raise ProtocolError(
                f"the server named the host {host!r:.80}, which is foreign to"
                f" {self._url.address!r:.80}"
            )
        return host


def _domain(address: str) -> str:
    """Return what the hosts of one service have in common: the last two labels, or an IP."""
    host = address if address.endswith("]") else address.rpartition(":")[0] or address
    if host.startswith("[") or host.replace(".", "").isdigit():
        return host
    return ".".join(host.split(".")[-2:])


def _is_jwt(token: str) -> bool:
    """Return whether a token is one that ``auth`` takes: a JWT that says when it was issued."""
    parts = token.split(".")
    if len(parts) != 3:
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(claims, dict) and "iat" in claims
