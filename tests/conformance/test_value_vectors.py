"""Values, keys and hashes of `vectors.json`, read from the shared specification where it is."""

import base64
import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from firekeep_core.snap.digest import hash_text_v1, hash_v1
from firekeep_core.snap.json import dump, parse
from firekeep_core.snap.keys import compare_keys, integer_key, is_valid_key, is_valid_path
from firekeep_core.snap.node import from_scalar
from firekeep_core.snap.value import export, from_export, to_python


def load() -> dict[str, Any]:
    for parent in Path(__file__).resolve().parents:
        vectors = parent / "shared" / "spec" / "vectors.json"
        if vectors.is_file():
            loaded: dict[str, Any] = json.loads(vectors.read_text("utf-8"))
            return loaded
    return {}


VECTORS = load()

pytestmark = pytest.mark.skipif(not VECTORS, reason="../shared/spec is not here")


def test_hashes_and_their_texts_are_as_listed() -> None:
    for case in VECTORS["hashes"]:
        text = json.dumps(case["data"])
        for node in (from_export(case["data"]), parse(text), parse(dump(parse(text)))):
            assert hash_v1(node) == case["hash"], case
            hashed = hashlib.sha1(hash_text_v1(node).encode("utf-8", "surrogatepass")).digest()
            assert base64.b64encode(hashed).decode() == case["hash"] or node.is_empty


@pytest.mark.parametrize("field", ["doubles", "doublesSdkDiffers"])
def test_numbers_are_hashed_as_their_true_bits(field: str) -> None:
    for case in VECTORS[field]:
        assert hash_text_v1(from_scalar(case["number"])) == f"number:{case['hex']}"


@pytest.mark.parametrize("field", ["keyOrder", "keyOrderLeadingZeros"])
def test_keys_are_in_order(field: str) -> None:
    keys: list[str] = VECTORS[field]

    assert all(compare_keys(a, b) < 0 < compare_keys(b, a) for a, b in pairwise(keys))
    assert from_export(dict.fromkeys(reversed(keys), 1)).keys() == keys


def test_integer_keys_are_as_listed() -> None:
    for case in VECTORS["intKeys"]:
        assert integer_key(case["text"]) == case["int"], case


def test_valid_keys_and_paths_are_as_listed() -> None:
    for case in VECTORS["validKeys"]:
        assert is_valid_key(case["text"]) is case["key"], case
        assert is_valid_path(case["text"]) is case["path"], case


def test_snapshots_give_back_what_is_listed() -> None:
    for case in VECTORS["exports"]:
        node = from_export(case["data"])

        assert to_python(node) == case["val"], case
        assert export(node) == case["exportVal"], case
        assert json.loads(dump(node)) == case["json"], case
        assert json.loads(dump(node, export=False)) == case["val"], case
        assert len(node) == case["size"], case


def test_no_part_of_the_file_is_left_out() -> None:
    elsewhere = {"about", "orders", "queries", "pushIds"}
    here = {"hashes", "doubles", "doublesSdkDiffers", "keyOrder", "keyOrderLeadingZeros"}

    assert VECTORS.keys() == elsewhere | here | {"intKeys", "validKeys", "exports"}
