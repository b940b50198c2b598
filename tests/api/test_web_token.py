"""What a token says is read, and nothing that is no token is."""

import base64
import json

import pytest

from firekeep.emulator import unsigned_token
from firekeep.web_token import read_claims, read_header


def test_header_and_claims_are_read() -> None:
    token = unsigned_token({"sub": "ada", "name": "Ada ✔"})

    assert read_claims(token) == {"sub": "ada", "name": "Ada ✔"}
    assert read_header(token) == {"alg": "none", "typ": "JWT"}


def nested(depth: int) -> str:
    text = "[" * depth + "]" * depth
    return base64.urlsafe_b64encode(f'{{"a":{text}}}'.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "owner",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "e30.é.x",
        f"e30.{base64.urlsafe_b64encode(b'[1]').decode()}.",
        f"e30.{base64.urlsafe_b64encode(json.dumps('text').encode()).decode()}.",
        f"e30.{nested(100_000)}.",
    ],
)
def test_anything_else_says_nothing(text: str) -> None:
    assert read_claims(text) is None
