"""``QueryParams``: which children of a location a query shows, and in which order.

Source: sync-engine §2, wire §3.4 and §6.1.
"""

import json

from libc.stdint cimport uint64_t
from libc.stdlib cimport abort, free, malloc

from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport (
    FK_EMPTY,
    fk_child,
    fk_child_count,
    fk_key,
    fk_word,
    key_from_str,
    key_to_str,
    new_map,
    release_key,
    retain,
    retain_key,
    set_priority,
)
from .bound cimport Bound, canonical_json, read_bound, within
from .index cimport BY_KEY, BY_PRIORITY, BY_VALUE, Index, by_child
from .selection cimport Selection, sort_entries

from ..errors import InvalidPath, InvalidQuery, ProtocolError
from ..snap import keys

cdef str MAX_KEY = keys.MAX_KEY
cdef str MIN_KEY = keys.MIN_KEY
cdef object MAX_KEYS = (MAX_KEY, "[MAX_KEY]")
cdef object MIN_KEYS = (MIN_KEY, "[MIN_KEY]")
cdef long LARGEST_LIMIT = 2**31 - 1


class _DefaultQuery:
    """The class attribute that gives the one default query."""

    def __get__(self, instance: object, owner: object) -> QueryParams:
        return DEFAULT


cdef class QueryParams:
    """Order, bounds and limit of a query; immutable, equal if they mean the same.

    Each method returns a new query and raises InvalidQuery for a combination that
    makes no sense, whatever the order of the calls.

    >>> QueryParams.DEFAULT.order_by_child("score").limit_to_last(3).identifier
    '{"i":"score","l":3,"vf":"r"}'
    """

    DEFAULT = _DefaultQuery()

    def __init__(self):
        raise TypeError("start from QueryParams.DEFAULT")

    # ---- what it is -------------------------------------------------------------

    @property
    def loads_all_data(self) -> bool:
        """Whether there is neither a bound nor a limit."""
        return self.loads_all

    @property
    def is_default(self) -> bool:
        """Whether this loads everything and orders by priority."""
        return self.loads_all and self.index.by_priority

    @property
    def order(self) -> str:
        """``priority``, ``key``, ``value``, or the path of the child that orders."""
        if self.index.by_key:
            return "key"
        if self.index.by_value:
            return "value"
        return "priority" if self.child_path is None else self.child_path

    @property
    def limit(self) -> int | None:
        """How many children are shown at most; None without a limit."""
        return None if self.limit_count < 0 else self.limit_count

    @property
    def anchored(self) -> str:
        """The side the limit counts from: ``l`` or ``r``."""
        return "r" if self.from_right else "l"

    def __eq__(self, other) -> bool:
        if not isinstance(other, QueryParams):
            return NotImplemented
        return self is other or self.identifier == (<QueryParams>other).identifier

    def __hash__(self) -> int:
        return hash(self.identifier)

    def __repr__(self) -> str:
        return f"QueryParams({self.identifier})"

    # ---- building ------------------------------------------------------------------

    def order_by_child(self, path: object) -> QueryParams:
        """Order by the value at ``path`` below each child."""
        if not isinstance(path, str):
            raise InvalidQuery(f"order_by_child takes a path, not {path!r:.80}")
        if path in ("$key", "$value", "$priority", ".key", ".value", ".priority"):
            name = path.lstrip("$.")
            raise InvalidQuery(f"order_by_child({path!r}): use order_by_{name}() instead")
        try:
            place = Path.parse(path)
        except InvalidPath as error:
            raise InvalidQuery(f"order_by_child: {error}") from error
        if not place:
            raise InvalidQuery("order_by_child takes a path that is not empty")
        return self.with_order(by_child(place), "/".join(place.keys))

    def order_by_key(self) -> QueryParams:
        """Order by key."""
        return self.with_order(BY_KEY, None)

    def order_by_value(self) -> QueryParams:
        """Order by the children's own values."""
        return self.with_order(BY_VALUE, None)

    def order_by_priority(self) -> QueryParams:
        """Order by priority, which is the default."""
        return self.with_order(BY_PRIORITY, None)

    def start_at(self, value: object, key: object = None) -> QueryParams:
        """Begin with ``value``; with ``key``, among the children that have that value too."""
        return self.with_start("start_at", value, key, False)

    def start_after(self, value: object, key: object = None) -> QueryParams:
        """Begin after ``value``, or after ``key`` among the children that have that value."""
        return self.with_start("start_after", value, key, True)

    def end_at(self, value: object, key: object = None) -> QueryParams:
        """End with ``value``; with ``key``, among the children that have that value too."""
        return self.with_end("end_at", value, key, False)

    def end_before(self, value: object, key: object = None) -> QueryParams:
        """End before ``value``, or before ``key`` among the children that have that value."""
        return self.with_end("end_before", value, key, True)

    def equal_to(self, value: object, key: object = None) -> QueryParams:
        """Show the children that have exactly ``value``, or of these the one at ``key``."""
        return self.with_start("equal_to", value, key, False).with_end(
            "equal_to", value, key, False
        )

    def limit_to_first(self, limit: object) -> QueryParams:
        """Show at most the first ``limit`` children."""
        return self.with_limit("limit_to_first", limit, False)

    def limit_to_last(self, limit: object) -> QueryParams:
        """Show at most the last ``limit`` children."""
        return self.with_limit("limit_to_last", limit, True)

    cdef QueryParams with_order(self, Index index, str child_path):
        if self.ordered:
            raise InvalidQuery(f"the query is ordered by {self.order} already")
        cdef QueryParams params = copy_of(self)
        params.index = index
        params.child_path = child_path
        params.ordered = True
        # bounds were read in the default order: read them again in this one
        if self.start is not None:
            params.start = read_bound(
                index, "start", self.start.value, self.start.key, self.start.exclusive, True
            )
        if self.end is not None:
            params.end = read_bound(
                index, "end", self.end.value, self.end.key, self.end.exclusive, False
            )
        return finish(params)

    cdef QueryParams with_start(self, str call, object value, object key, bint exclusive):
        if self.start is not None:
            raise InvalidQuery(f"{call}: the query has a start already")
        cdef QueryParams params = copy_of(self)
        params.start = read_bound(self.index, call, value, key, exclusive, True)
        return finish(params)

    cdef QueryParams with_end(self, str call, object value, object key, bint exclusive):
        if self.end is not None:
            raise InvalidQuery(f"{call}: the query has an end already")
        cdef QueryParams params = copy_of(self)
        params.end = read_bound(self.index, call, value, key, exclusive, False)
        return finish(params)

    cdef QueryParams with_limit(self, str call, object limit, bint from_right):
        if self.limit_count >= 0:
            raise InvalidQuery(f"{call}: the query has a limit already")
        if not isinstance(limit, int) or isinstance(limit, bool) or not 0 < limit <= LARGEST_LIMIT:
            raise InvalidQuery(f"{call} takes a positive 32-bit integer, not {limit!r:.80}")
        cdef QueryParams params = copy_of(self)
        params.limit_count = limit
        params.from_right = from_right
        return finish(params)

    # ---- forms -----------------------------------------------------------------------

    def wire(self) -> dict:
        """Return the ``q`` object of a listen, in the exact form of the JavaScript SDK."""
        cdef dict form = {}
        if self.start is not None:
            form["sp"] = self.start.value
            if self.start.key is not None:
                form["sn"] = self.start.key
            elif self.start.exclusive and not self.index.by_key:
                form["sn"] = MAX_KEY
            form["sin"] = not self.start.exclusive
        if self.end is not None:
            form["ep"] = self.end.value
            if self.end.key is not None:
                form["en"] = self.end.key
            elif self.end.exclusive and not self.index.by_key:
                form["en"] = MIN_KEY
            form["ein"] = not self.end.exclusive
        if self.limit_count >= 0:
            form["l"] = self.limit_count
            form["vf"] = self.anchored
        if not self.index.by_priority:
            form["i"] = index_name(self, ".")
        return form

    def rest_parameters(self) -> dict:
        """Return the parameters of a REST request, not yet percent-encoded."""
        cdef dict form = {}
        if self.is_default:
            return form
        form["orderBy"] = json.dumps(index_name(self, "$"), ensure_ascii=False)
        if self.start is not None:
            name = "startAfter" if self.start.exclusive else "startAt"
            form[name] = rest_bound(self.start, MAX_KEY, self.index.by_key)
        if self.end is not None:
            name = "endBefore" if self.end.exclusive else "endAt"
            form[name] = rest_bound(self.end, MIN_KEY, self.index.by_key)
        if self.limit_count >= 0:
            form["limitToLast" if self.from_right else "limitToFirst"] = self.limit_count
        return form

    @staticmethod
    def from_wire(form: object) -> QueryParams:
        """Return the query of a client's ``q`` object; raises ProtocolError for a broken one.

        Missing ``sin`` and ``ein`` mean inclusive; the names before and after all keys
        are accepted in every spelling that clients use.
        """
        if not isinstance(form, dict):
            raise ProtocolError(f"a query is an object, not {form!r:.80}")
        cdef QueryParams params = DEFAULT
        try:
            index = form.get("i", ".priority")
            if index == ".key":
                params = params.order_by_key()
            elif index == ".value":
                params = params.order_by_value()
            elif index != ".priority":
                params = params.order_by_child(index)
            if "sp" in form:
                key, exclusive = read_edge(params, form.get("sn"), not form.get("sin", True), True)
                params = params.with_start("sp", form["sp"], key, exclusive)
            if "ep" in form:
                key, exclusive = read_edge(params, form.get("en"), not form.get("ein", True), False)
                params = params.with_end("ep", form["ep"], key, exclusive)
            if "l" in form:
                right = form.get("vf", "l" if "sp" in form else "r") == "r"
                params = params.with_limit("l", form["l"], right)
        except InvalidQuery as error:
            raise ProtocolError(f"invalid query {form!r:.200}: {error}") from error
        return params

    @staticmethod
    def from_rest(form: dict) -> QueryParams:
        """Return the query of REST parameters; raises InvalidQuery for broken ones."""
        cdef QueryParams params = DEFAULT
        bounds = ("startAt", "startAfter", "endAt", "endBefore", "equalTo")
        if "orderBy" not in form:
            if any(name in form for name in (*bounds, "limitToFirst", "limitToLast")):
                raise InvalidQuery(
                    "orderBy must be defined when other query parameters are defined"
                )
            return params
        order = read_json(form["orderBy"], "orderBy")
        if order == "$key":
            params = params.order_by_key()
        elif order == "$value":
            params = params.order_by_value()
        elif order == "$priority":
            params = params.order_by_priority()
        else:
            params = params.order_by_child(order)
        for name in bounds:
            if name not in form:
                continue
            value, key = read_rest_bound(form[name], name)
            if name == "equalTo":
                params = params.equal_to(value, key)
            elif name.startswith("start"):
                key, exclusive = read_edge(params, key, name == "startAfter", True)
                params = params.with_start(name, value, key, exclusive)
            else:
                key, exclusive = read_edge(params, key, name == "endBefore", False)
                params = params.with_end(name, value, key, exclusive)
        for name in ("limitToFirst", "limitToLast"):
            if name in form:
                limit = read_json(str(form[name]), name)
                params = params.with_limit(name, limit, name == "limitToLast")
        return params

    # ---- meaning -----------------------------------------------------------------------

    cdef bint in_range(self, fk_key key, fk_word indexed) noexcept:
        """Whether a child with that key and indexed value lies within the bounds."""
        return within(self.index, self.start, self.end, key, indexed)

    def matches(self, key: str, Node node not None) -> bool:
        """Return whether a child lies within the bounds, whatever the limit."""
        cdef fk_key word = key_from_str(key)
        cdef bint inside = self.in_range(word, self.index.value_of(node.word))
        release_key(word)
        return inside

    def compare(
        self, key_a: str, Node node_a not None, key_b: str, Node node_b not None
    ) -> int:
        """Return -1, 0 or 1 as the first child comes before, with or after the second."""
        cdef fk_key a = key_from_str(key_a)
        cdef fk_key b = key_from_str(key_b)
        cdef int order = self.index.compare(
            a, self.index.value_of(node_a.word), b, self.index.value_of(node_b.word)
        )
        release_key(a)
        release_key(b)
        return order

    def sort(self, items: list) -> list[tuple[str, Node]]:
        """Return ``(key, node)`` pairs of different keys in this query's order.

        Cost: O(n log n).
        """
        cdef Selection selection = Selection.__new__(Selection)
        cdef Py_ssize_t i
        cdef Node node
        cdef fk_key key
        cdef dict by_key = {}
        cdef list result = []
        for text, node in items:
            key = key_from_str(text)
            by_key[key] = (text, node)
            selection.append(self.index.value_of(node.word), key)
        sort_entries(self.index, selection.entries, selection.count)
        for i in range(selection.count):
            result.append(by_key[selection.entries[i].key])
        for i in range(selection.count):
            release_key(selection.entries[i].key)
        return result

    cdef Selection select(self, fk_word node):
        """The places of the children that this query shows, valid while ``node`` lives."""
        cdef Selection selection = Selection.__new__(Selection)
        selection.select(
            self.index, self.start, self.end, self.limit_count, self.from_right, node
        )
        return selection

    def window(self, Node node not None) -> list[tuple[str, Node]]:
        """Return the children of ``node`` that this query shows, in its order.

        Cost: O(n log limit), by key O(limit); views keep their windows instead.
        """
        cdef Selection selection = self.select(node.word)
        cdef Py_ssize_t i
        cdef fk_key key
        cdef fk_word child
        cdef list items = []
        for i in range(selection.count):
            key = selection.entries[i].key
            child = fk_child(node.word, key)
            retain(child)
            items.append((key_to_str(key), new_node(child)))
        return items

    def filter(self, Node node not None) -> Node:
        """Return ``node`` with only what this query shows of it: no priority, a leaf is null.

        A query that loads everything returns ``node`` itself. Cost: as ``window``.
        """
        cdef Selection selection
        cdef Py_ssize_t i
        cdef fk_key *owned
        cdef fk_word *values
        cdef fk_word word
        if self.loads_all:
            return node
        selection = self.select(node.word)
        if not selection.count:
            return new_node(FK_EMPTY)
        if <uint64_t>selection.count == fk_child_count(node.word):
            retain(node.word)
            return new_node(set_priority(node.word, FK_EMPTY))
        owned = <fk_key *>malloc(2 * selection.count * sizeof(fk_key))
        if owned == NULL:
            abort()
        values = owned + selection.count
        for i in range(selection.count):
            owned[i] = selection.entries[i].key
            values[i] = fk_child(node.word, owned[i])
            retain_key(owned[i])
            retain(values[i])
        word = new_map(owned, values, selection.count, FK_EMPTY)
        free(owned)
        return new_node(word)


cdef str index_name(QueryParams params, str mark):
    if params.index.by_key:
        return mark + "key"
    if params.index.by_value:
        return mark + "value"
    return mark + "priority" if params.child_path is None else params.child_path


cdef object rest_bound(Bound bound, str sentinel, bint by_key):
    cdef str text = canonical_json(bound.value)
    cdef str key = bound.key
    if key is None and bound.exclusive and not by_key:
        key = sentinel
    return text if key is None else f"{text},{json.dumps(key, ensure_ascii=False)}"


cdef tuple read_edge(QueryParams params, object key, bint exclusive, bint at_start):
    """A bound's key and whether it is exclusive, the names beyond all keys resolved."""
    if params.index.by_key or key is None:
        return None, exclusive
    if key in MAX_KEYS:
        return None, at_start
    if key in MIN_KEYS:
        return None, not at_start
    return key, exclusive


cdef object read_json(object text, str name):
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise InvalidQuery(f"{name} must be a valid JSON encoded value: {text!r:.80}") from None


cdef tuple read_rest_bound(str text, str name):
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        raise InvalidQuery(f"{name} must be a valid JSON encoded value: {text!r:.80}") from None
    rest = text[end:].strip()
    if not rest:
        return value, None
    key = read_json(rest[1:], name) if rest.startswith(",") else None
    if not isinstance(key, str):
        raise InvalidQuery(f"{name} takes a value and a key: {text!r:.80}")
    return value, key


cdef QueryParams copy_of(QueryParams params):
    cdef QueryParams copy = QueryParams.__new__(QueryParams)
    copy.index = params.index
    copy.child_path = params.child_path
    copy.ordered = params.ordered
    copy.start = params.start
    copy.end = params.end
    copy.limit_count = params.limit_count
    copy.from_right = params.from_right
    return copy


cdef QueryParams finish(QueryParams params):
    """Fill in what follows from the rest."""
    params.loads_all = params.start is None and params.end is None and params.limit_count < 0
    form = params.wire()
    params.identifier = "default"
    if form:
        params.identifier = (
            "{"
            + ",".join(f'"{name}":{canonical_json(form[name])}' for name in sorted(form))
            + "}"
        )
    return params


cdef QueryParams make_default():
    cdef QueryParams params = QueryParams.__new__(QueryParams)
    params.index = BY_PRIORITY
    params.limit_count = -1
    return finish(params)


DEFAULT = make_default()
