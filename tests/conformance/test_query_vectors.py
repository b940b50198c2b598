"""Orders and queries of `vectors.json`, read from the shared specification where it is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from firekeep_core.query.params import QueryParams
from firekeep_core.snap.value import from_export

BOUNDS = {
    "startAt": "start_at",
    "startAfter": "start_after",
    "endAt": "end_at",
    "endBefore": "end_before",
    "equalTo": "equal_to",
}


def load(field: str) -> list[dict[str, Any]]:
    for parent in Path(__file__).resolve().parents:
        vectors = parent / "shared" / "spec" / "vectors.json"
        if vectors.is_file():
            loaded: list[dict[str, Any]] = json.loads(vectors.read_text("utf-8"))[field]
            return loaded
    return []


ORDERS = load("orders")
QUERIES = load("queries")


def query_of(params: Mapping[str, Any]) -> QueryParams:
    """Build the query that the `params` of a case describe (syncpoint-format, "Queries")."""
    query = QueryParams.DEFAULT
    known = {"tag", "orderBy", "orderByKey", "orderByValue", "orderByPriority", *BOUNDS}
    assert params.keys() <= known | {"limitToFirst", "limitToLast"}
    if "orderBy" in params:
        query = query.order_by_child(params["orderBy"])
    if params.get("orderByKey"):
        query = query.order_by_key()
    if params.get("orderByValue"):
        query = query.order_by_value()
    if params.get("orderByPriority"):
        query = query.order_by_priority()
    for name, method in BOUNDS.items():
        if name in params:
            query = getattr(query, method)(params[name]["index"], params[name].get("name"))
    if "limitToFirst" in params:
        query = query.limit_to_first(params["limitToFirst"])
    if "limitToLast" in params:
        query = query.limit_to_last(params["limitToLast"])
    return query


def order_of(case: Mapping[str, Any]) -> QueryParams:
    query = QueryParams.DEFAULT
    match case["by"]:
        case "child":
            return query.order_by_child(case["path"])
        case "key":
            return query.order_by_key()
        case "value":
            return query.order_by_value()
        case "priority":
            return query.order_by_priority()
        case unknown:
            raise AssertionError(f"unknown order {unknown!r}")


def test_no_case_is_missing() -> None:
    if not QUERIES:
        pytest.skip("the specification (../shared/spec) is not here")
    assert (len(ORDERS), len(QUERIES)) == (48, 160)


@pytest.mark.parametrize("case", ORDERS, ids=range(len(ORDERS)))
def test_children_come_in_the_order_of_the_index(case: Mapping[str, Any]) -> None:
    shown = order_of(case).window(from_export(case["data"]))

    assert [key for key, _ in shown] == case["keys"]


@pytest.mark.parametrize("case", QUERIES, ids=range(len(QUERIES)))
def test_a_query_shows_the_children_that_the_sdk_shows(case: Mapping[str, Any]) -> None:
    query = query_of(case["params"])
    node = from_export(case["data"])

    assert [key for key, _ in query.window(node)] == case["keys"]
    if not query.loads_all_data:
        assert set(query.filter(node).keys()) == set(case["keys"])


@pytest.mark.parametrize("case", QUERIES, ids=range(len(QUERIES)))
def test_a_query_is_written_as_the_sdk_writes_it(case: Mapping[str, Any]) -> None:
    query = query_of(case["params"])

    assert query.identifier == case["identifier"]
    assert query.wire() == case["wire"]
    assert query.rest_parameters() == case["rest"]


@pytest.mark.parametrize("case", QUERIES, ids=range(len(QUERIES)))
def test_a_query_survives_each_of_its_written_forms(case: Mapping[str, Any]) -> None:
    query = query_of(case["params"])

    assert QueryParams.from_wire(json.loads(json.dumps(query.wire()))) == query
    rest = {name: str(text) for name, text in query.rest_parameters().items()}
    assert QueryParams.from_rest(rest) == query
