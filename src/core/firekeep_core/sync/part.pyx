"""``Part``: one of the locations that an operation changes, on its way down the tree."""

from ..snap.node cimport Node
from ..snap.path cimport Path
from ..snap.word cimport fk_key, key_from_str

cdef fk_key PRIORITY_KEY = key_from_str(".priority")


cdef Part part_of(Path path, Node node):
    cdef Part part = Part.__new__(Part)
    part.path = path
    part.node = node
    return part


cdef bint any_contains(list parts, Path path):
    cdef Part part
    for part in parts:
        if part.path.contains(path):
            return True
    return False


cdef list heads_of(list parts, Py_ssize_t depth):
    """The keys just below ``depth`` that the parts name; None if any could differ."""
    cdef Part part
    cdef list heads = []
    for part in parts:
        if part.path.length <= depth or part.path.words[depth] == PRIORITY_KEY:
            return None
        heads.append(part.path.words[depth])
    return heads if len(heads) < 2 else list(dict.fromkeys(heads))


cdef list parts_for(list parts, Py_ssize_t depth, fk_key key):
    """The parts at or above a point at ``depth``, and those below its child ``key``."""
    cdef Part part
    cdef list chosen = []
    for part in parts:
        if part.path.length <= depth or part.path.words[depth] == key:
            chosen.append(part)
    return chosen
