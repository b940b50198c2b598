"""``Bound``: one end of a query's range, checked and in one form.

Source: sync-engine §2.1 to §2.3.
"""

import json
from decimal import Decimal
from math import isfinite

from ..snap.node cimport scalar_from_python
from ..snap.word cimport (
    FK_EMPTY,
    FK_KEY_MAX,
    FK_KEY_MIN,
    fk_key,
    fk_word,
    key_from_str,
    release,
    release_key,
)
from .index cimport Index

from ..errors import InvalidQuery
from ..snap import keys

#: From here on doubles do not tell all integers apart.
cdef object EXACT_INTEGERS = 2**53


cdef class Bound:
    """A value and a key at which a range starts or ends, or just after or before which."""

    def __cinit__(self):
        self.word = FK_EMPTY

    def __dealloc__(self):
        release(self.word)
        release_key(self.edge)


cdef Bound read_bound(
    Index index, str call, object value, object key, bint exclusive, bint at_start
):
    cdef Bound bound
    if value is not None and not isinstance(value, (bool, int, float, str)):
        raise InvalidQuery(f"{call} takes null, a boolean, a number or text, not {value!r:.80}")
    if key is not None and not (isinstance(key, str) and keys.is_valid_key(key)):
        raise InvalidQuery(f"{call}: invalid key {key!r:.80}")
    if index.by_key:
        if not isinstance(value, str):
            raise InvalidQuery(f"{call}: a query ordered by key takes a key, not {value!r:.80}")
        if key is not None:
            raise InvalidQuery(f"{call}: a query ordered by key takes no second key ({key!r:.80})")
    elif index.by_priority and isinstance(value, bool):
        raise InvalidQuery(f"{call}: a priority is null, a number or text, not {value!r}")
    bound = Bound.__new__(Bound)
    bound.value = canonical(value, call)
    bound.key = None if key is None else str.__str__(key)
    bound.exclusive = exclusive
    if index.by_key:
        bound.edge = edge_of(bound.value)
        return bound
    bound.word = scalar_from_python(bound.value)
    if key is not None:
        bound.edge = key_from_str(bound.key)
    else:
        # a range takes in all ties unless it is exclusive, whichever end this is
        bound.edge = FK_KEY_MAX if at_start == exclusive else FK_KEY_MIN
    return bound


cdef fk_key edge_of(str key) except? 0:
    if key == keys.MIN_KEY:
        return FK_KEY_MIN
    return FK_KEY_MAX if key == keys.MAX_KEY else key_from_str(key)


cdef bint within(Index index, Bound start, Bound end, fk_key key, fk_word indexed) noexcept:
    cdef int order
    if start is not None:
        order = index.compare(key, indexed, start.edge, start.word)
        if order < 0 or (order == 0 and start.exclusive):
            return False
    if end is not None:
        order = index.compare(key, indexed, end.edge, end.word)
        if order > 0 or (order == 0 and end.exclusive):
            return False
    return True


cdef object canonical(object value, str call):
    """The plain value of a bound, numbers in one form: 1 for 1.0, 0 for -0.0 (W-48)."""
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, bool):
        return value
    try:
        number = float(value)
    except OverflowError:
        raise InvalidQuery(
            f"{call}: an integer of {value.bit_length()} bits is too large for a double"
        ) from None
    if not isfinite(number):
        raise InvalidQuery(f"{call} takes finite numbers, not {value!r}")
    if not number.is_integer():
        return number
    return int(number) if abs(number) < EXACT_INTEGERS else number


cdef str number_text(object number):
    """A number as JavaScript writes it: exponents only from 1e21 and below 1e-6."""
    cdef str text = repr(number)
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, exponent = text.split("e")
    if -7 < int(exponent) < 21:
        return format(Decimal(text), "f")
    return f"{mantissa}e{int(exponent):+d}"


cdef str canonical_json(object value):
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return number_text(value)
    return json.dumps(value, ensure_ascii=False)
