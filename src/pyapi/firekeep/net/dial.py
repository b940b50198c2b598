"""Open a stream of bytes to a server: TCP, a proxy's tunnel, TLS."""

import ssl

import anyio

from firekeep.net.byte_stream import ByteStream, close_at_once
from firekeep.net.proxy import ProxyAddress, open_tunnel
from firekeep.net.tls import TlsStream, default_context

__all__ = ["dial"]


async def dial(
    host: str,
    port: int,
    *,
    secure: bool,
    ssl_context: ssl.SSLContext | None = None,
    proxy: ProxyAddress | None = None,
) -> ByteStream:
    """Return an open stream; `ssl_context` serves the server and a proxy that is spoken to by TLS.

    Raises:
        Disconnected, ProtocolError: the proxy refuses, or is none.
        OSError, anyio.EndOfStream, anyio.BrokenResourceError: the network or TLS fails.
    """
    if proxy is None:
        stream: ByteStream = await anyio.connect_tcp(host, port)
    else:
        stream = await anyio.connect_tcp(proxy.host, proxy.port)
    try:
        if proxy is not None:
            if proxy.secure:
                stream = await _encrypt(stream, ssl_context, proxy.host)
            await open_tunnel(stream, proxy, host, port)
        if secure:
            stream = await _encrypt(stream, ssl_context, host)
    except BaseException:
        await close_at_once(stream)
        raise
    return stream


async def _encrypt(stream: ByteStream, ssl_context: ssl.SSLContext | None, host: str) -> ByteStream:
    encrypted = TlsStream(stream, ssl_context or default_context(), host)
    await encrypted.handshake()
    return encrypted
