"""What views without data of their own learn from others.

A new view takes what those around it hold; what one has read from disk, it teaches
to those at and below it that know nothing.

Source: sync-engine §4.2, §8.7.
"""

from ..snap.path cimport Path
from ..snap.word cimport fk_child, fk_is_empty, fk_word, get_path, retain, set_child
from .sync_point cimport SyncPoint
from .unstored cimport Unstored
from .view cimport View


cdef void learn(SyncPoint root, SyncPoint point, View view):
    """Give a new view what others hold of its location (sync-engine §4.2)."""
    cdef SyncPoint above = root
    cdef SyncPoint below
    cdef View other
    cdef Path path = view.path
    cdef Py_ssize_t i
    cdef fk_word word
    for i in range(path.length + 1):
        for other in above.views:
            if other is view or not other.server_complete or other.covered:
                continue
            if other.loads_all:
                word = get_path(other.server, path.words + i, path.length - i)
                view.take_server(word, other.confirmed)
                view.absorbed = other.absorbed
                view.foreign = other.foreign
                if other.is_stored and other.stored == other.server:
                    view.store_as_held()
                return
            if i < path.length and not fk_is_empty(fk_child(other.server, path.words[i])):
                word = get_path(other.server, path.words + i, path.length - i)
                view.take_server(word, False)
                view.foreign = other.foreign
                return
        if i < path.length:
            above = above.child(path.words[i])
    for below in point.in_key_order():
        other = below.primary()
        if other is not None and other.server_complete:
            word = other.server
            retain(word)
            view.server = set_child(view.server, below.key, word)
            if other.absorbed:
                view.absorbed = (view.absorbed or set()) | other.absorbed


cdef void teach(SyncPoint point, View teacher, Unstored unstored):
    """Let incomplete views at and below a point know what one there has learnt of the disk.

    They have no listen of their own while a whole view lies above them, and ask no disk.
    """
    cdef View view
    cdef SyncPoint child
    cdef Py_ssize_t depth = teacher.path.length
    for view in point.views:
        if view is teacher or view.covered or view.server_complete:
            continue
        if teacher.server_filtered and (
            view.path.length == depth
            or fk_is_empty(fk_child(teacher.server, view.path.words[depth]))
        ):
            continue
        if view.loads_all and view is not point.primary():
            continue
        view.take_loaded(
            get_path(teacher.server, view.path.words + depth, view.path.length - depth),
            True,
            False,
        )
        unstored.touch(view)
    if point.children is not None:
        for child in point.in_key_order():
            teach(child, teacher, unstored)
