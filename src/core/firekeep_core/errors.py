"""The errors that data can cause; ``firekeep.exceptions`` draws the whole tree."""


class FirekeepError(Exception):
    """Anything that firekeep raises on purpose."""


class InvalidArgument(FirekeepError, ValueError):
    """The caller passed something that no database could hold or answer."""


class InvalidPath(InvalidArgument):
    """A path with a key that is not allowed, too long or too deep."""


class InvalidKey(InvalidArgument):
    """A key that is empty, too long, or holds a forbidden character."""


class InvalidValue(InvalidArgument):
    """A value that has no place in a JSON tree."""


class InvalidQuery(InvalidArgument):
    """A combination of order, bounds and limits that makes no sense."""


class InvalidUrl(InvalidArgument):
    """A database address that cannot be understood."""


class UsageError(FirekeepError, RuntimeError):
    """A correct call at the wrong moment."""


class ProtocolError(FirekeepError):
    """The peer broke the protocol."""


class StorageError(FirekeepError):
    """The disk did not do what it was asked."""


class CorruptRecord(StorageError):
    """A stored record that cannot be read back."""


class StorageFull(StorageError):
    """No space is left for a write."""
