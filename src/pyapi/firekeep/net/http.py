"""One HTTP request; the only place that knows `httpx`."""

import importlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from firekeep.exceptions import NetworkUnavailable
from firekeep.net.proxy import choose_proxy
from firekeep.net.tls import default_context

__all__ = ["HttpAnswer", "request"]

MAX_ANSWER_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What the server said; names of headers are in lower case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


async def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout_s: float = 30.0,
    ssl_context: ssl.SSLContext | None = None,
    proxy: str | None = "environment",
) -> HttpAnswer:
    """Ask once, on a connection of its own, and return the whole answer, whatever its status.

    Redirects are not followed. `ssl_context` and `proxy` are as in `firekeep.Config`. No error
    text holds more of the request than its host.

    Raises:
        NetworkUnavailable: no complete answer within `timeout_s`.
        InvalidUrl: the proxy that applies cannot be used.
    """
    if "httpx" not in sys.modules:
        # Importing it takes some 0.3 s, in which the event loop would stand still.
        await anyio.to_thread.run_sync(importlib.import_module, "httpx")
    import httpx

    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    chosen = choose_proxy(
        proxy,
        host=host,
        port=parts.port or (443 if secure else 80),
        secure=secure,
        environ=os.environ,
    )
    context = ssl_context or default_context()
    via = None
    if chosen is not None:
        scheme = "https" if chosen.secure else "http"
        via = httpx.Proxy(
            httpx.URL(scheme=scheme, host=chosen.host, port=chosen.port),
            auth=None if chosen.username is None else (chosen.username, chosen.password),
            ssl_context=context if chosen.secure else None,
        )
    # Not packed: what unpacks an answer leaves iterators behind where it fails.
    sent = {**(headers or {}), "Accept-Encoding": "identity"}
    received = bytearray()
    try:
        with anyio.fail_after(timeout_s):
            async with httpx.AsyncClient(
                verify=context, trust_env=False, timeout=None, proxy=via
            ) as client:
                asked = client.build_request(method, url, headers=sent, content=body)
                asked.stream = _stream(body)
                async with aclosing(await client.send(asked, stream=True)) as answer:
                    # To its end, for the same reason, or until the time is up.
                    async for piece in answer.aiter_raw():
                        if len(received) <= MAX_ANSWER_BYTES:
                            received += piece
    except TimeoutError as error:
        raise NetworkUnavailable(f"{host} did not answer within {timeout_s:g} s") from error
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise NetworkUnavailable(f"{host} cannot be reached: {reason:.200}") from error
    if len(received) > MAX_ANSWER_BYTES:
        raise NetworkUnavailable(f"{host} answered with more than {MAX_ANSWER_BYTES} bytes")
    return HttpAnswer(answer.status_code, bytes(received), dict(answer.headers))


def _stream(body: bytes) -> Any:
    """Return a body as the library wants it, without a generator that a failure leaves behind."""
    import httpx

    class Body(httpx.AsyncByteStream):
        def __init__(self) -> None:
            self._pieces = iter([body])

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            for piece in self._pieces:
                return piece
            raise StopAsyncIteration

    return Body()
