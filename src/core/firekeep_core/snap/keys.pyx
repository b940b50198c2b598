"""What a key is: validity, integer-like keys, and the order of all keys.

Source: sync-engine §1.5 and §1.10, wire §4.2.
"""

from .word cimport (
    fk_compare_keys,
    fk_key,
    fk_key_integer,
    fk_key_is_integer,
    key_from_str,
    release_key,
)

MIN_KEY = "[MIN_NAME]"
MAX_KEY = "[MAX_NAME]"

#: Bytes of UTF-8 that one key, and a whole path with a separator a segment, may have.
MAX_KEY_BYTES = 768

cdef inline bint is_forbidden(Py_UCS4 c) noexcept:
    return (
        c < 0x20
        or c == 0x7F
        or c == u"."
        or c == u"#"
        or c == u"$"
        or c == u"/"
        or c == u"["
        or c == u"]"
    )


def forbidden_character(text: str) -> str | None:
    """Return the first character of ``text`` that no key may hold, or None."""
    cdef Py_UCS4 c
    for c in text:
        if is_forbidden(c):
            return c
    return None


def byte_length(text: str) -> int:
    """Return the length of ``text`` in UTF-8, a lone surrogate taking three bytes."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def is_valid_key(text: str) -> bool:
    """Return whether ``text`` may be the key of a child.

    >>> is_valid_key("a b"), is_valid_key("a.b"), is_valid_key("")
    (True, False, False)
    """
    return (
        bool(text)
        and forbidden_character(text) is None
        and byte_length(text) <= MAX_KEY_BYTES
    )


def is_valid_path(text: str) -> bool:
    """Return whether ``text`` names a location: valid keys between slashes, not empty."""
    return bool(text) and all(
        forbidden_character(part) is None and byte_length(part) <= MAX_KEY_BYTES
        for part in text.split("/")
    )


def integer_key(text: str) -> int | None:
    """Return the number an integer-like key stands for, or None for any other key.

    Integer-like is an optional ``-`` and ASCII digits, with a value of 32 bits.
    """
    cdef fk_key k = key_from_str(text)
    number = fk_key_integer(k) if fk_key_is_integer(k) else None
    release_key(k)
    return number


def compare_keys(a: str, b: str) -> int:
    """Return -1, 0 or 1 as ``a`` sorts before, with or after ``b``.

    Integer-like keys come first, by number, then by length; then all others by
    UTF-16 code units. The sentinels ``MIN_KEY`` and ``MAX_KEY`` embrace all keys.
    """
    if a == b:
        return 0
    if a == MIN_KEY or b == MAX_KEY:
        return -1
    if a == MAX_KEY or b == MIN_KEY:
        return 1
    cdef fk_key x = key_from_str(a)
    cdef fk_key y = key_from_str(b)
    cdef int order = fk_compare_keys(x, y)
    release_key(x)
    release_key(y)
    return order
