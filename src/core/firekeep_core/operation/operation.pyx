"""What the server said, as values: the currency between the wire and the sync tree.

Source: sync-engine §4.3, wire §3.5.
"""


cdef class Operation:
    """Something the server said about ``path``; with a tag, about one query there alone."""

    @property
    def tag(self) -> int | None:
        """The number of the query this is meant for; None if for every listener."""
        return self.tag_number or None

    def __repr__(self) -> str:
        tag = f", tag={self.tag_number}" if self.tag_number else ""
        return f"{type(self).__name__}({str(self.path)!r}{tag})"


cdef class Overwrite(Operation):
    """All of ``path`` is now ``node``."""

    def __init__(self, Path path not None, Node node not None, tag: int | None = None):
        self.path = path
        self.node = node
        self.tag_number = tag or 0


cdef class Merge(Operation):
    """Each of the relative paths in ``children`` is now what stands beside it."""

    def __init__(self, Path path not None, list children not None, tag: int | None = None):
        self.path = path
        self.children = children
        self.tag_number = tag or 0


cdef class RangeMerge(Operation):
    """The leaves in each range (start exclusive, end inclusive, None: open) are now those given."""

    def __init__(self, Path path not None, list ranges not None, tag: int | None = None):
        self.path = path
        self.ranges = ranges
        self.tag_number = tag or 0


cdef class ListenComplete(Operation):
    """The listen at ``path`` was answered: what was sent before is all there is."""

    def __init__(self, Path path not None, tag: int | None = None):
        self.path = path
        self.tag_number = tag or 0


cdef Overwrite new_overwrite(Path path, Node node, long tag):
    cdef Overwrite operation = Overwrite.__new__(Overwrite)
    operation.path = path
    operation.node = node
    operation.tag_number = tag
    return operation
