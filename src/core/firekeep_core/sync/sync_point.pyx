"""``SyncPoint``: the views of one location, and the way down to those below."""

from ..query.params cimport QueryParams
from ..snap.path cimport Path
from ..snap.word cimport fk_compare_keys, fk_key, get_path, release_key, retain, retain_key
from .view cimport View


cdef class SyncPoint:
    def __cinit__(self):
        self.views = []

    def __dealloc__(self):
        release_key(self.key)

    cdef View find(self, QueryParams params):
        """The view of that query here, None if there is none."""
        cdef View view
        for view in self.views:
            if view.params is params or view.params == params:
                return view
        return None

    cdef View primary(self):
        """The view that holds the whole location's data, for all others here; None without."""
        cdef View view
        for view in self.views:
            if view.loads_all:
                return view
        return None

    cdef SyncPoint child(self, fk_key key):
        return None if self.children is None else <SyncPoint>self.children.get(key)

    cdef SyncPoint ensure_child(self, fk_key key):
        cdef SyncPoint point = self.child(key)
        if point is None:
            point = SyncPoint.__new__(SyncPoint)
            point.parent = self
            retain_key(key)
            point.key = key
            if self.children is None:
                self.children = {}
            self.children[key] = point
            self.ordered = None
        return point

    cdef void drop_child(self, SyncPoint child):
        del self.children[child.key]
        if not self.children:
            self.children = None
        self.ordered = None
        child.parent = None

    cdef list in_key_order(self):
        """The children as the tree orders their keys; kept until one comes or goes."""
        if self.ordered is None:
            self.ordered = [] if self.children is None else sorted_points(
                list(self.children.values())
            )
        return self.ordered


cdef list sorted_points(list points):
    """A merge sort, so that the comparison is one of keys and not of Python objects."""
    cdef Py_ssize_t middle = len(points) // 2, i = 0, j = 0
    cdef list left, right, merged
    if middle == 0:
        return points
    left = sorted_points(points[:middle])
    right = sorted_points(points[middle:])
    merged = []
    while i < len(left) and j < len(right):
        if fk_compare_keys((<SyncPoint>left[i]).key, (<SyncPoint>right[j]).key) <= 0:
            merged.append(left[i])
            i += 1
        else:
            merged.append(right[j])
            j += 1
    return merged + left[i:] + right[j:]


cdef SyncPoint find_point(SyncPoint root, Path path):
    """The location ``path`` below ``root``, None if nobody listens there or below."""
    cdef SyncPoint point = root
    cdef Py_ssize_t i
    for i in range(path.length):
        point = point.child(path.words[i])
        if point is None:
            return None
    return point


cdef View find_cover(SyncPoint root, Path path, Py_ssize_t *depth):
    """The topmost complete view of a whole location at or above ``path``."""
    cdef SyncPoint point = root
    cdef View primary
    cdef Py_ssize_t i = 0
    while True:
        primary = point.primary()
        if primary is not None and primary.covers():
            depth[0] = i
            return primary
        if i == path.length:
            return None
        point = point.child(path.words[i])
        if point is None:
            return None
        i += 1


cdef View find_holder(SyncPoint root, Path path, QueryParams params):
    """The view that holds, or is to hold, the data of a listen; None if it is gone."""
    cdef SyncPoint point = find_point(root, path)
    if point is None:
        return None
    return point.primary() if params.loads_all else point.find(params)


cdef void inherit(View heir, View view):
    """Make one whole view the holder of the location's data in another's place."""
    heir.forget_server()
    heir.covered = view.covered
    heir.spread = view.spread
    retain(view.server)
    heir.server = view.server
    retain(view.assumed)
    heir.assumed = view.assumed
    heir.server_complete = view.server_complete
    heir.confirmed = view.confirmed
    heir.assumed_complete = view.assumed_complete
    heir.vacant = view.vacant
    heir.absorbed = view.absorbed
    if view.is_stored:
        heir.store_as_held()
    heir.told_complete = view.told_complete
    heir.foreign = view.foreign


cdef void disown(SyncPoint point):
    """Note that what is held at and below a point was told to another user."""
    cdef View view
    cdef SyncPoint child
    for view in point.views:
        view.foreign = True
    if point.children is not None:
        for child in point.in_key_order():
            disown(child)


cdef void hand_down(SyncPoint point, View cover, list heirs):
    """Leave a departing cover's data to the views that it covered."""
    cdef View view, primary = point.primary()
    cdef SyncPoint child
    for view in point.views if primary is None else [primary]:
        if view.covered:
            view.take_server(
                get_path(
                    cover.server,
                    view.path.words + cover.path.length,
                    view.path.length - cover.path.length,
                ),
                True,
            )
            heirs.append(view)
            view.absorbed = cover.absorbed
            view.foreign = cover.foreign
            if cover.is_stored:
                view.store_as_held()
            view.covered = False
            view.spread = True
    if primary is None and point.children is not None:
        for child in point.in_key_order():
            hand_down(child, cover, heirs)
