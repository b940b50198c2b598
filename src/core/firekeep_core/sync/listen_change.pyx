"""``ListenChange``: which listens the server must be asked to start and stop.

One listen for each query that no whole view covers, and none besides. What is
new starts before what it replaces stops, so that data flow without a gap.
Source: sync-engine §4.6.
"""

from ..query.params cimport DEFAULT
from ..snap.path import ROOT as _ROOT
from .sync_point cimport SyncPoint
from .view cimport View


cdef class ListenChange:
    """A listen to be started or stopped with the server.

    ``params`` is the default query whenever the whole location is loaded, whatever
    its local order; ``tag`` is None then.
    """

    def __cinit__(self):
        self.params = DEFAULT
        self.path = _ROOT

    def __repr__(self) -> str:
        verb = "listen" if self.start else "unlisten"
        return f"<{verb} {self.path} {self.params.identifier} tag={self.tag}>"


cdef ListenChange listen_change(View view, bint start):
    cdef ListenChange change = ListenChange.__new__(ListenChange)
    view.listening = start
    change.start = start
    change.path = view.path
    change.params = DEFAULT if view.loads_all else view.params
    change.tag = None if view.loads_all else view.tag
    return change


cdef list listens_for(SyncPoint point, View view):
    """Start what a new view needs, then stop what it makes superfluous."""
    cdef View other
    cdef list changes = []
    cdef SyncPoint above = point
    while above is not None:
        for other in above.views:
            if other is not view and other.loads_all:
                return changes
        above = above.parent
    changes.append(listen_change(view, True))
    if view.loads_all:
        for other in point.views:
            if other.listening and other is not view:
                changes.append(listen_change(other, False))
        if point.children is not None:
            stop_below(point, changes)
    return changes


cdef void stop_below(SyncPoint point, list changes):
    """Stop the listens of the topmost views below."""
    cdef SyncPoint child
    cdef View view
    for child in point.in_key_order():
        for view in child.views:
            if view.listening:
                changes.append(listen_change(view, False))
        if child.primary() is None and child.children is not None:
            stop_below(child, changes)


cdef void start_below(SyncPoint point, list changes):
    """Start a listen for each query at and below that no whole view covers."""
    cdef SyncPoint child
    cdef View view, primary = point.primary()
    if primary is not None:
        changes.append(listen_change(primary, True))
        return
    for view in point.views:
        changes.append(listen_change(view, True))
    if point.children is not None:
        for child in point.in_key_order():
            start_below(child, changes)
