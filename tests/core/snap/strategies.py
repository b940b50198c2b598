"""What hypothesis draws values, keys and JSON texts from."""

from typing import Any, cast

from hypothesis import strategies as st

# Short keys live in their words, longer ones in the key table, integer-like ones are numbers.
KEYS = st.one_of(
    st.sampled_from(["a", "b", "c", "0", "1", "01", "-1", "10", "!", "é", "a longer key"]),
    st.integers(-3, 200).map(str),
    st.text(st.characters(exclude_characters=".#$/[]", exclude_categories=["Cc"]), min_size=1),
)
NUMBERS = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-3, 3),
    st.floats(allow_nan=False, allow_infinity=False),
)
SCALARS = st.one_of(st.booleans(), NUMBERS, st.text(max_size=40))
PRIORITIES = st.one_of(st.none(), st.none(), NUMBERS, st.text(max_size=5))


def _with_priority(value: Any, priority: Any) -> Any:
    if priority is None:
        return value
    if isinstance(value, dict):
        return {**cast("dict[str, Any]", value), ".priority": priority}
    return {".value": value, ".priority": priority}


LEAVES = st.builds(_with_priority, SCALARS, PRIORITIES)


def _maps(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        _with_priority, st.dictionaries(KEYS, children, min_size=1, max_size=6), PRIORITIES
    )


#: Values in export form, in which nothing is empty.
EXPORTS: st.SearchStrategy[Any] = st.recursive(LEAVES, _maps, max_leaves=25)

#: The same without priorities.
PLAIN: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda children: st.dictionaries(KEYS, children, min_size=1, max_size=6)
)

#: Anything that JSON can say, lone surrogates and empty containers included.
ANY_TEXT = st.text(st.characters(codec=None), max_size=20)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), NUMBERS, ANY_TEXT),
    lambda children: st.one_of(
        st.lists(children, max_size=5), st.dictionaries(ANY_TEXT, children, max_size=5)
    ),
    max_leaves=20,
)
