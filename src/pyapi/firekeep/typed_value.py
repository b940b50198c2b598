"""Turns plain values into the types a user describes them with."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import (
    Any,
    Literal,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from firekeep.exceptions import InvalidValue

__all__ = ["build"]

TypedT = TypeVar("TypedT")

_LISTS: tuple[Any, ...] = (list, Sequence, tuple)
_MAPS: tuple[Any, ...] = (dict, Mapping)


def build(value: object, kind: type[TypedT]) -> TypedT:
    """Return `value`, in which every map is a dict, as an object of the type `kind`.

    Raises:
        InvalidValue: it is not of that type; the message says where below `value`.

    Example::

        build({"x": 1, "y": 2}, Point)
    """
    return cast("TypedT", _build(value, kind, ""))


def _build(value: object, kind: Any, place: str) -> object:
    if kind is Any or kind is object:
        return value
    kind = getattr(kind, "__supertype__", kind)
    origin = get_origin(kind) or kind
    if origin in (Union, UnionType):
        return _build_union(value, kind, place)
    if origin is Literal:
        if value in get_args(kind):
            return value
        raise _mismatch(value, kind, place)
    if dataclasses.is_dataclass(origin) or is_typeddict(origin):
        return _build_record(value, origin, place)
    if origin in _LISTS:
        return _build_list(value, kind, origin, place)
    if origin in _MAPS:
        return _build_map(value, kind, place)
    return _build_scalar(value, kind, place)


def _build_scalar(value: object, kind: Any, place: str) -> object:
    if kind is None or kind is NoneType:
        if value is None:
            return None
    elif kind is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif kind is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
    elif isinstance(kind, type) and isinstance(value, kind):
        return value
    raise _mismatch(value, kind, place)


def _build_union(value: object, kind: Any, place: str) -> object:
    options = get_args(kind)
    # An exact match first: 1 is the int of "float | int", whatever their order.
    if type(value) in options:
        return value
    for option in options:
        try:
            return _build(value, option, place)
        except InvalidValue:
            continue
    raise _mismatch(value, kind, place)


def _build_record(value: object, kind: Any, place: str) -> object:
    members = _members(value)
    if members is None:
        raise _mismatch(value, kind, place)
    hints = get_type_hints(kind)
    if is_typeddict(kind):
        required = kind.__required_keys__
        names = [name for name in hints if name in members or name in required]
        return {name: _field(members, name, hints[name], place) for name in names}
    arguments: dict[str, object] = {}
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        has_default = (
            field.default is not dataclasses.MISSING
            or field.default_factory is not dataclasses.MISSING
        )
        if field.name in members or not has_default:
            arguments[field.name] = _field(members, field.name, hints[field.name], place)
    return kind(**arguments)


def _field(value: dict[str, object], name: str, kind: Any, place: str) -> object:
    below = f"{place}/{name}"
    if name not in value:
        origin = get_origin(kind) or kind
        if origin in _LISTS or origin in _MAPS:
            return () if origin is tuple else [] if origin in _LISTS else {}
        try:
            return _build(None, kind, below)
        except InvalidValue:
            raise InvalidValue(f"{below[1:]!r} is missing") from None
    return _build(value[name], kind, below)


def _build_list(value: object, kind: Any, origin: Any, place: str) -> object:
    if value is None:
        items: list[object] = []
    elif (members := _members(value)) is not None and all(key.isdecimal() for key in members):
        length = max((int(key) for key in members), default=-1) + 1
        if length > 2 * len(members) + 1:
            raise InvalidValue(f"{_name(place)} has too many gaps for a list")
        items = [members.get(str(position)) for position in range(length)]
    else:
        raise _mismatch(value, kind, place)
    kinds = get_args(kind)
    if origin is tuple and not (len(kinds) == 2 and kinds[1] is Ellipsis):
        if kinds and len(kinds) != len(items):
            raise InvalidValue(f"{_name(place)} has {len(items)} items, not {len(kinds)}")
        each = list(kinds) or [Any] * len(items)
    else:
        each = [kinds[0] if kinds else Any] * len(items)
    built = [
        _build(item, item_kind, f"{place}/{position}")
        for position, (item, item_kind) in enumerate(zip(items, each, strict=True))
    ]
    return tuple(built) if origin is tuple else built


def _build_map(value: object, kind: Any, place: str) -> object:
    if value is None:
        return {}
    members = _members(value)
    if members is None:
        raise _mismatch(value, kind, place)
    kinds = get_args(kind)
    key_kind, item_kind = kinds if kinds else (str, Any)
    if key_kind not in (str, int, Any):
        raise InvalidValue(f"{_name(place)}: the keys of a map are str or int, not {key_kind!r}")
    return {
        _key(key, key_kind, place): _build(item, item_kind, f"{place}/{key}")
        for key, item in members.items()
    }


def _key(key: str, kind: Any, place: str) -> str | int:
    if kind is not int:
        return key
    try:
        return int(key)
    except ValueError:
        raise InvalidValue(f"{_name(place)} has the key {key!r:.60}, not an int") from None


def _members(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _mismatch(value: object, kind: Any, place: str) -> InvalidValue:
    expected = kind.__name__ if isinstance(kind, type) else str(kind)
    return InvalidValue(f"{_name(place)} is {value!r:.60}, not {expected}")


def _name(place: str) -> str:
    return repr(place[1:]) if place else "it"
