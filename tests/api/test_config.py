"""Settings are checked when they are made, and cannot change afterwards."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from firekeep.config import Config, Persistence
from firekeep.exceptions import InvalidArgument, InvalidUrl

MIB = 1024 * 1024


def test_the_defaults_are_those_of_the_protocol() -> None:
    config = Config()

    assert (config.max_pending_writes, config.max_pending_bytes) == (1_000_000, 256 * MIB)
    assert (config.connect_timeout_s, config.keep_alive_s) == (30, 45)
    assert (config.ping_after_s, config.pong_timeout_s) == (45, 15)
    assert (config.backoff_min_s, config.backoff_factor, config.backoff_max_s) == (1, 1.3, 30)
    assert (config.linger_s, config.proxy, config.ssl_context) == (0, "environment", None)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"max_pending_writes": 0}, "max_pending_writes is at least 1, not 0"),
        ({"max_pending_bytes": 1.5}, "max_pending_bytes is a whole number, not 1.5"),
        ({"max_message_bytes": True}, "max_message_bytes is a whole number, not True"),
        ({"connect_timeout_s": 0}, "connect_timeout_s is more than 0, not 0"),
        ({"ping_after_s": "45"}, "ping_after_s is a finite number, not '45'"),
        ({"pong_timeout_s": float("nan")}, "pong_timeout_s is a finite number, not nan"),
        ({"linger_s": -1}, "linger_s is at least 0, not -1"),
        ({"backoff_factor": 0.9}, "backoff_factor is at least 1, not 0.9"),
        ({"backoff_jitter": 1.1}, "backoff_jitter is a share of 1, not 1.1"),
        ({"backoff_min_s": 5, "backoff_max_s": 4}, "backoff_max_s 4 is less than backoff_min_s 5"),
        ({"ssl_context": 5}, "ssl_context is an ssl.SSLContext, not int"),
        ({"proxy": 5}, "proxy is an http:// or https:// URL, not int"),
        ({"proxy": ""}, "proxy '' is neither an http:// nor an https:// URL"),
        ({"proxy": "ftp://x"}, "proxy 'ftp://x' is neither an http:// nor an https:// URL"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Config(**settings)

    assert str(caught.value) == what


def test_a_proxy_is_not_shown_since_it_may_hold_a_password() -> None:
    assert "secret" not in repr(Config(proxy="http://me:secret@proxy:3128"))


def test_settings_cannot_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Config().linger_s = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(FrozenInstanceError):
        Persistence().name = "x"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def test_persistence_has_the_sdk_defaults() -> None:
    persistence = Persistence()

    assert (persistence.path, persistence.name) == (None, "default")
    assert (persistence.budget_bytes, persistence.durability) == (10 * MIB, "batch")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"budget_bytes": MIB - 1}, "budget_bytes is at least 1048576, not 1048575"),
        ({"durability": "always"}, "durability is 'batch', 'write' or 'none', not 'always'"),
        ({"path": ""}, "persistence path '' is empty"),
        ({"path": 5}, "persistence path is text or a path, not 5"),
        ({"path": b"here"}, "persistence path is text or a path, not b'here'"),
        ({"path": "a\0b"}, "persistence path 'a\\x00b' holds a null character"),
        ({"name": 5}, "persistence name is text, not 5"),
        ({"name": ""}, "persistence name ''"),
        ({"name": ".."}, "persistence name '..'"),
        ({"name": "a/b"}, "persistence name 'a/b'"),
    ],
)
def test_a_store_that_cannot_be_is_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Persistence(**settings)

    assert str(caught.value).startswith(what)


def test_a_proxy_is_refused_without_showing_its_password() -> None:
    with pytest.raises(InvalidUrl, match=r"proxy 'proxy:21'") as caught:
        Config(proxy="ftp://me:secret@proxy:21")

    assert "secret" not in str(caught.value)


def test_a_budget_above_the_range_of_firebase_is_allowed() -> None:
    assert Persistence("somewhere", budget_bytes=1000 * MIB).budget_bytes == 1000 * MIB
