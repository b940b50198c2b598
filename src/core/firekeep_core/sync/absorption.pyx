"""Recognising the server's values that include a pending increment already.

The push that a write causes comes before its answer: an increment that is counted
until the answer would count twice in between. So an increment is *absorbed* by a
view when the server sends it exactly the value that the increment makes of the one
before; from then on it counts as nothing there. A lost connection undoes that, for
the write is sent again. Source: sync-engine §5.7.
"""

from ..snap.node cimport Node, new_node
from ..snap.path cimport Path
from ..snap.word cimport equal, fk_bare, fk_child, fk_is_empty, fk_word, get_path
from .part cimport Part
from .sync_point cimport SyncPoint
from .view cimport View
from .write_tree cimport Increment, WriteEntry, WriteNode, WriteTree, increment_word, place_of


cdef list pending_increments(WriteTree writes):
    """The location and token of each increment, oldest first."""
    cdef WriteEntry entry
    cdef Increment increment
    cdef Path place
    cdef list found = []
    if writes.increments:
        for write_id in sorted(writes.records):
            for i, place in enumerate(writes.paths(write_id)):
                entry = writes.entries(write_id)[i]
                for increment in entry.increments or ():
                    found.append((place.child(increment.path), increment))
    return found


cdef list expected_values(WriteTree writes, set sent, View view, list parts):
    """What the server will hold where it takes in a pending increment.

    Of each leaf that the message (``parts``) touches, the oldest increment that
    counts still, if it is with the server. Not while an older write sets the leaf:
    the message could be what came of that one.
    """
    cdef Candidate candidate
    cdef Path path
    cdef Part part
    cdef fk_word old, delta
    cdef Py_ssize_t depth = view.path.length
    cdef list candidates = [], found = []
    cdef set seen = set()
    if writes.increments == 0 or not sent:
        return found
    for part in parts:
        candidates_on(writes, part.path, view, candidates)
    candidates.sort(key=by_id)
    for candidate in candidates:
        path = candidate.path
        if not view.path.contains(path) or path in seen:
            continue
        seen.add(path)
        if candidate.entry.id not in sent or written_before(writes, path, candidate.entry.id):
            continue
        if not view.is_whole() and (
            path.length == depth or fk_is_empty(fk_child(view.server, path.words[depth]))
        ):
            continue
        old = get_path(view.server, path.words + depth, path.length - depth)
        delta = fk_bare(
            get_path(
                candidate.entry.word,
                candidate.increment.path.words,
                candidate.increment.path.length,
            )
        )
        found.append((path, candidate.increment, new_node(increment_word(delta, old))))
    return found


cdef bint written_before(WriteTree writes, Path leaf, long write_id):
    """Whether a write older than that sets the leaf, rather than to increment it."""
    cdef WriteNode node = writes.root
    cdef WriteEntry entry
    cdef Py_ssize_t depth, i
    for depth in range(leaf.length + 1):
        for i in range(node.gone, 0 if node.entries is None else len(node.entries)):
            entry = <WriteEntry>node.entries[i]
            if entry.id >= write_id:
                break
            if not increments_at(entry, leaf, depth):
                return True
        if depth < leaf.length:
            node = None if node.children is None else node.children.get(leaf.words[depth])
            if node is None:
                return False
    return False


cdef bint increments_at(WriteEntry entry, Path leaf, Py_ssize_t depth):
    """Whether the entry, which lies at the first ``depth`` keys of ``leaf``, increments it."""
    cdef Increment increment
    cdef Py_ssize_t i
    for increment in entry.increments or ():
        if increment.path.length == leaf.length - depth:
            for i in range(increment.path.length):
                if increment.path.words[i] != leaf.words[depth + i]:
                    break
            else:
                return True
    return False


cdef class Candidate:
    # An increment that counts still, and where its leaf is.
    cdef Path path
    cdef WriteEntry entry
    cdef Increment increment


def by_id(Candidate candidate not None) -> int:
    return candidate.entry.id


cdef void candidates_on(WriteTree writes, Path path, View view, list found):
    """Append the increments at and below ``path``: those of writes above it, at it and below."""
    cdef WriteNode node = writes.root
    cdef Py_ssize_t i
    for i in range(path.length):
        candidates_at(node, path, view, found)
        node = None if node.children is None else node.children.get(path.words[i])
        if node is None:
            return
    candidates_below(node, path, view, found)


cdef void candidates_below(WriteNode node, Path path, View view, list found):
    cdef WriteNode child
    candidates_at(node, path, view, found)
    if node.children is not None:
        for child in node.children.values():
            candidates_below(child, path, view, found)


cdef void candidates_at(WriteNode node, Path path, View view, list found):
    """Of the writes at one place, the oldest on each leaf that ``view`` has not absorbed."""
    cdef WriteEntry entry
    cdef Increment increment
    cdef Candidate candidate
    cdef Path place, leaf
    cdef set seen = None
    if node.entries is None:
        return
    for entry in node.entries:
        if entry.increments is None:
            continue
        if seen is None:
            seen = set()
            place = place_of(node)
        for increment in entry.increments:
            if view.absorbed is not None and increment in view.absorbed:
                continue
            leaf = place.child(increment.path)
            if leaf in seen or not path.contains(leaf):
                continue
            seen.add(leaf)
            candidate = Candidate.__new__(Candidate)
            candidate.path = leaf
            candidate.entry = entry
            candidate.increment = increment
            found.append(candidate)
        if place in seen:
            return  # the leaf is the place itself: a later one there is not the oldest


cdef void absorb(View view, list expected):
    """Mark those increments whose expected value the server has just sent."""
    cdef Path path
    cdef Node node
    cdef fk_word new
    for path, increment, node in expected:
        new = get_path(
            view.server,
            path.words + view.path.length,
            path.length - view.path.length,
        )
        if equal(fk_bare(new), node.word):
            view.absorbed = {increment} | {
                other for other in view.absorbed or () if not (<Increment>other).answered
            }


cdef void absorbing_views(SyncPoint point, list found):
    """Append the views whose server value includes pending increments."""
    cdef View view
    cdef SyncPoint child
    for view in point.views:
        if view.absorbed is not None and not view.covered:
            found.append(view)
    if point.children is not None:
        for child in point.children.values():
            absorbing_views(child, found)
