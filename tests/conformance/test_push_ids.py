"""The push ids of `vectors.json`, read from the shared specification where it is present."""

import json
from pathlib import Path
from typing import Any

import pytest

from firekeep.push_id import PushIdGenerator

VECTORS = Path(__file__).parents[2] / "../shared/spec/vectors.json"


def cases() -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        return []
    loaded: list[dict[str, Any]] = json.loads(VECTORS.read_bytes())["pushIds"]
    return loaded


@pytest.mark.skipif(not VECTORS.is_file(), reason="../shared/spec is not here")
def test_push_ids_are_those_of_the_javascript_sdk() -> None:
    # One generator for all: the cases are in the order of their times.
    generator = PushIdGenerator()

    for case in cases():
        chance = 0
        for digit in case["random"]:
            chance = chance << 6 | digit
        made = [generator.next_id(case["now"], chance) for _ in case["ids"]]

        assert made == case["ids"]
