"""The model engine: slow and obvious, the oracle of the native one (sync-engine §11).

What a view shows is a pure function of what is known: the server's data as far as this view
has heard them, the values of accepted writes about which the server has not spoken
("assumed"), and the log of pending writes, replayed in order (§5.4 D-5, I-33). Events are the
difference between what was shown and what is shown now.

Some rules are finer than the text of §4 and are settled by the recorded cases:

* A view below or at a complete, unfiltered one whose data the server confirmed is *covered*:
  it is told nothing itself but shares that view's data after every operation, so tagged
  messages for it are dropped. Data that a new view took over from a window (§4.2) do not
  cover anything until the server has answered its own listen.
* Nothing is assumed in a view whose window is complete: the server has spoken. Nor is
  anything assumed of an accepted write that another visible pending write covers.
* An accepted write over all of a filtered query's location leaves on show what is on show: the
  other children stay unknown. A later rejection makes such a view incomplete again.
* A child that the server takes out of a view while a deeper pending write keeps it on show is
  *vacant*: known to have no value, until it leaves the view.
* Increments are absorbed view by view, each by its own message.
* Within one multi-path write priorities apply last.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.model.operation_model import (
    Record,
    assume,
    complete_view,
    merge_view,
    overwrite_view,
    replay_record,
    starts_with,
)
from tests.model.query_model import DEFAULT, Query
from tests.model.tree_model import (
    MAX_RANK,
    PRIORITY,
    Keys,
    Rank,
    Tree,
    add,
    child_of,
    children_of,
    get,
    increments_in,
    key_rank,
    leaf_value,
    same,
    update,
)
from tests.model.view_model import (
    ALL_KINDS,
    CANCEL,
    Event,
    Knowledge,
    Shown,
    View,
    below,
    events_between,
)


@dataclass(frozen=True)
class ListenChange:
    """A listen to start or stop at the server."""

    start: bool
    path: Keys
    query: Query
    tag: int | None


def depth_first(path: Keys) -> tuple[Rank, ...]:
    """Sort deeper locations before shallower ones, siblings by key (§3.6)."""
    return (*(key_rank(key) for key in path), MAX_RANK)


class EngineModel:
    """A whole sync tree; the methods mirror `SyncTree` with plain Python values."""

    def __init__(self) -> None:
        self.views: dict[Keys, dict[Query, View]] = {}
        self.log: list[Record] = []
        self.next_tag = 1

    # Reading what is known.

    def all_views(self) -> Iterator[View]:
        """Give every view, deepest location first, then in the order of creation."""
        for path in sorted(self.views, key=depth_first):
            yield from self.views[path].values()

    def cover_of(self, path: Keys) -> View | None:
        """Find the root-most view from which everything at a path can be read."""
        for depth in range(len(path) + 1):
            for view in self.views.get(path[:depth], {}).values():
                if view.covers:
                    return view
        return None

    def replay(
        self,
        base: Tree,
        at: Keys,
        absorbed: Iterable[tuple[int, Keys]] = (),
        *,
        exclude: Iterable[int] = (),
        hidden: bool = False,
    ) -> Tree:
        """Apply every record in order to a value at a location (I-33)."""
        for record in self.log:
            if (record.visible or hidden) and record.write_id not in exclude:
                base = replay_record(record, base, at, absorbed)
        return base

    def is_written(self, path: Keys) -> bool:
        """Say whether a visible pending write covers a location entirely (§5.2)."""
        return any(
            starts_with(path, entry) and entry[-1:] != (PRIORITY,)
            for record in self.log
            if record.visible
            for entry, _ in record.entries
        )

    def compute(self, view: View) -> Shown:
        """Work out what a view shows: nothing but knowledge and the log goes in."""
        knowledge, at = view.knowledge, view.path
        if knowledge.whole:
            complete, value = True, self.replay(knowledge.server, at, knowledge.absorbed)
        elif (knowledge.assumed_complete and view.query.loads_all) or self.is_written(at):
            complete, value = True, self.replay(knowledge.known(), at, knowledge.absorbed)
        else:
            complete = knowledge.complete or knowledge.assumed_complete
            value = self.compute_children(knowledge, at)
        if not view.query.loads_all:
            items = view.query.window(value)
            return Shown(complete, dict(items) or None, items)
        return Shown(complete, value, view.query.window(value))

    def compute_children(self, knowledge: Knowledge, at: Keys) -> Tree:
        """Find the children that can be shown while the whole is not known (I-39)."""
        known = children_of(knowledge.known())
        written = [
            entry[-1]
            for record in self.log
            if record.visible
            for entry, _ in record.entries
            if len(entry) == len(at) + 1 and starts_with(entry, at) and entry[-1] != PRIORITY
        ]
        shown: dict[str, Tree] = {}
        for key in [*known, *knowledge.vacant, *written]:
            child = self.replay(known.get(key), (*at, key), knowledge.absorbed)
            if child is not None:
                shown[key] = child
        return shown or None

    # Telling the listeners.

    def emit(self, origin: str) -> list[Event]:
        """Bring every view up to date and give the events that this makes."""
        self.share_knowledge()
        events: list[Event] = []
        for view in self.all_views():
            old, view.shown = view.shown, self.compute(view)
            view.knowledge.vacant &= {key for key, _ in view.shown.items}
            # The first answer to a listen tells about the past.
            first = origin == "server" and view.shown.complete and not old.complete
            events += events_between(view, old, origin, initial=first)
        return events

    def share_knowledge(self) -> None:
        """Give views below a complete one its data, as they are now (D-4, I-54)."""
        for view in self.all_views():
            source = self.source_of(view)
            if source is not view:
                view.knowledge = below(source.knowledge, view.path[len(source.path) :])

    def source_of(self, view: View) -> View:
        """Find the view whose knowledge a view shares, its own if no other's.

        All views that load a whole location have one listen, hence one knowledge.
        """
        cover = self.cover_of(view.path)
        if cover is None and view.query.loads_all:
            here = self.views[view.path].values()
            return next(other for other in here if other.query.loads_all)
        return cover or view

    # Listeners.

    def add_registration(
        self, path: Keys, query: Query, registration: object, kinds: int = ALL_KINDS
    ) -> tuple[list[Event], list[ListenChange]]:
        """Add a listener: what it is told at once, and what must be listened to (§3.5, §4.6)."""
        listens: list[ListenChange] = []
        here = self.views.get(path, {})
        view = here.get(query)
        if view is None:
            covered = self.is_listened_to(path)
            tag = None
            if not query.loads_all:
                tag = self.next_tag
                self.next_tag += 1
            view = View(path, query, tag)
            view.knowledge = self.initial_knowledge(path, query)
            superfluous = [] if covered or tag is not None else self.listened_below(path)
            self.views.setdefault(path, {})[query] = view
            view.shown = self.compute(view)
            if not covered:
                listens.append(listen_change(True, view))
            listens += [listen_change(False, stopped) for stopped in superfluous]
        view.registrations.append((registration, kinds))
        fresh = View(path, query, None)
        fresh.registrations = [(registration, kinds)]
        fresh.shown = view.shown
        return events_between(fresh, Shown(), "server", initial=True), listens

    def initial_knowledge(self, path: Keys, query: Query) -> Knowledge:
        """Find what other views know of a location (§4.2)."""
        cover = self.cover_of(path)
        if cover is not None:
            return below(cover.knowledge, path[len(cover.path) :])
        if query.loads_all:
            for view in self.views.get(path, {}).values():
                if view.query.loads_all:
                    return view.knowledge
        for depth in range(len(path) + 1):
            rest = path[depth:]
            for view in self.views.get(path[:depth], {}).values():
                knowledge = view.knowledge
                if not knowledge.complete:
                    continue
                if view.query.loads_all:
                    return below(knowledge, rest)
                if rest and child_of(knowledge.server, rest[0]) is not None:
                    found = below(knowledge, rest)
                    found.confirmed = False
                    return found
        children = Knowledge()
        for child_path, views in self.views.items():
            if len(child_path) == len(path) + 1 and starts_with(child_path, path):
                for view in views.values():
                    if view.query.loads_all and view.knowledge.complete:
                        children.server = update(
                            children.server, child_path[-1:], view.knowledge.server
                        )
                        children.absorbed |= view.knowledge.absorbed
                        break
        return children

    def remove_registration(
        self, path: Keys, query: Query, registration: object
    ) -> list[ListenChange]:
        """Take a listener off one query once; its view goes with the last one (§4.6)."""
        view = self.views.get(path, {}).get(query)
        if view is None:
            return []
        for index, (candidate, _) in enumerate(view.registrations):
            if candidate is registration:
                del view.registrations[index]
                break
        if view.registrations:
            return []
        return self.drop([view], cancelled=False)

    def cancel(
        self, path: Keys, query: Query | None, error: object
    ) -> tuple[list[Event], list[ListenChange]]:
        """Take in a refused or ended listen; the default one takes all with it (§3.9)."""
        here = self.views.get(path, {})
        everything = query is None or query.is_default
        views = [view for view in here.values() if everything or view.query == query]
        events = [
            Event("cancel", registration, path, view.query, error=error)
            for view in views
            for registration, kinds in view.registrations
            if kinds & CANCEL
        ]
        return events, self.drop(views, cancelled=True)

    def drop(self, views: list[View], *, cancelled: bool) -> list[ListenChange]:
        """Forget views of one location; what they covered is listened to again first (I-49)."""
        if not views:
            return []
        path = views[0].path
        for view in views:
            del self.views[path][view.query]
        if not self.views[path]:
            del self.views[path]
        if self.is_listened_to(path):
            return []
        if not any(view.query.loads_all for view in views):
            return [] if cancelled else [listen_change(False, view) for view in views]
        listens = [listen_change(True, view) for view in self.listened_below(path)]
        if not cancelled:
            listens.append(ListenChange(False, path, DEFAULT, None))
        return listens

    def is_listened_to(self, path: Keys) -> bool:
        """Say whether a view at or above a location loads all of it."""
        return any(
            query.loads_all
            for depth in range(len(path) + 1)
            for query in self.views.get(path[:depth], {})
        )

    def listened_below(self, path: Keys) -> list[View]:
        """Give the distinct views at and below that need a listen of their own (I-48)."""
        here = list(self.views.get(path, {}).values())
        for view in here:
            if view.query.loads_all:
                return [view]
        keys = {
            other[len(path)]
            for other in self.views
            if len(other) > len(path) and starts_with(other, path)
        }
        for key in sorted(keys, key=key_rank):
            here += self.listened_below((*path, key))
        return here

    # The server's messages.

    def overwrite(self, path: Keys, value: Tree, tag: int | None = None) -> list[Event]:
        """Take in that all of a path is now this value."""
        return self.receive(path, tag, lambda view, rest: overwrite_view(view, rest, value, tag))

    def merge(
        self, path: Keys, children: list[tuple[Keys, Tree]], tag: int | None = None
    ) -> list[Event]:
        """Take in that these children of a path are now so."""
        return self.receive(path, tag, lambda view, rest: merge_view(view, rest, children, tag))

    def listen_complete(self, path: Keys, tag: int | None = None) -> list[Event]:
        """Take in an answered listen: what is known there is all there is (§4.6)."""
        return self.receive(path, tag, lambda view, rest: complete_view(view, rest, tag))

    def receive(
        self, path: Keys, tag: int | None, tell: Callable[[View, Keys], None]
    ) -> list[Event]:
        """Tell each view at, above or below a path; with a tag, the one view that has it."""
        for view in self.all_views():
            if tag is not None and (view.tag != tag or not starts_with(path, view.path)):
                continue
            if self.source_of(view) is not view:
                continue  # it shares what another view is told
            if starts_with(path, view.path) or starts_with(view.path, path):
                before = view.knowledge
                view.knowledge = Knowledge(**vars(before))
                tell(view, path)
                view.knowledge.vacant = frozenset(
                    key
                    for key in view.knowledge.vacant
                    if key in before.vacant or not self.is_written((*view.path, key))
                )
                self.absorb(view, before)
        return self.emit("server")

    def absorb(self, view: View, before: Knowledge) -> None:
        """Find the increments that a message has brought back (§5.7).

        Only the oldest write on a leaf can be the one: an increment is not absorbed while
        an older write sets the leaf.
        """
        after = view.knowledge
        seen: set[Keys] = set()
        for number, record in enumerate(self.log):
            for entry, value in record.entries:
                for rest, delta in increments_in(value):
                    leaf = (*entry, *rest)
                    if not starts_with(leaf, view.path) or leaf in seen:
                        continue
                    if (record.write_id, leaf) in after.absorbed:
                        continue
                    seen.add(leaf)
                    place = leaf[len(view.path) :]
                    if not record.sent or not before.holds(place):
                        continue
                    if any(older.sets(leaf) for older in self.log[:number]):
                        continue
                    expected = add(get(before.server, place), delta)
                    if delta and same(leaf_value(get(after.server, place)), expected):
                        after.absorbed |= {(record.write_id, leaf)}

    # Pending writes.

    def write(self, write_id: int, path: Keys, value: Tree, *, visible: bool = True) -> list[Event]:
        """Let the user overwrite a path."""
        self.log.append(Record(write_id, [(path, value)], visible))
        return self.emit("local")

    def write_merge(
        self, write_id: int, path: Keys, children: list[tuple[Keys, Tree]]
    ) -> list[Event]:
        """Let the user overwrite several paths at once; priorities come last (§5.2)."""
        entries = [((*path, *rest), value) for rest, value in children]
        entries.sort(key=lambda entry: entry[0][-1:] == (PRIORITY,))
        self.log.append(Record(write_id, entries, True))
        return self.emit("local")

    def mark_sent(self, write_id: int) -> None:
        """Note that a write is on its way to the server."""
        for record in self.log:
            if record.write_id == write_id:
                record.sent = True

    def connection_lost(self) -> list[Event]:
        """Forget what is on its way: absorbed increments will be sent again (W-10)."""
        for record in self.log:
            record.sent = False
        for view in self.all_views():
            view.knowledge.absorbed = frozenset()
        return self.emit("server")

    def acknowledge(self, write_id: int) -> list[Event]:
        """Drop an accepted record; its value stays where nobody knows better."""
        record = self.take(write_id)
        entries = [entry for entry in record.entries if not self.is_written(entry[0])]
        if record.visible:
            for view in self.all_views():
                if self.source_of(view) is view:
                    assume(view, Record(write_id, entries, True))
        return self.emit("server")

    def revert(self, write_id: int) -> list[Event]:
        """Drop a record that was refused, or that a transaction gave up."""
        record = self.take(write_id)
        for view in self.all_views():
            for path, _ in record.entries if record.visible else []:
                related = starts_with(path, view.path) or starts_with(view.path, path)
                if related and not view.query.loads_all and not self.is_written(path):
                    view.knowledge.assumed_complete = False
        return self.emit("revert")

    def revert_all(self) -> list[Event]:
        """Drop every pending write at once (§7.5)."""
        self.log.clear()
        for view in self.all_views():
            view.knowledge.absorbed = frozenset()
        return self.emit("revert")

    def take(self, write_id: int) -> Record:
        """Take a record out of the log."""
        (record,) = (record for record in self.log if record.write_id == write_id)
        self.log.remove(record)
        return record

    # Questions.

    def server_node(self, path: Keys, query: Query) -> Tree:
        """Give what the server is known to hold for exactly this listen."""
        for view in self.views.get(path, {}).values():
            if view.query == query or (query.is_default and view.query.loads_all):
                return query.filter(view.knowledge.server)
        return None

    def is_complete(self, path: Keys, query: Query) -> bool:
        """Say whether a view knows all that it is to show."""
        view = self.views.get(path, {}).get(query)
        return view is not None and view.shown.complete

    def complete_value(self, path: Keys, query: Query) -> Tree:
        """Give what a complete view shows; None when there is none."""
        view = self.views.get(path, {}).get(query)
        return view.shown.value if view is not None and view.shown.complete else None

    def latest_state(self, path: Keys, exclude: Iterable[int] = ()) -> Tree:
        """Give the value that a transaction starts from, hidden writes included (§6.2)."""
        base, absorbed = self.last_known(path)
        return self.replay(base, path, absorbed, exclude=exclude, hidden=True)

    def last_known(self, path: Keys) -> tuple[Tree, frozenset[tuple[int, Keys]]]:
        """Find the server's value of a location, or what is assumed of it."""
        cover = self.cover_of(path)
        if cover is not None:
            return get(cover.knowledge.server, path[len(cover.path) :]), cover.knowledge.absorbed
        for view in self.views.get(path, {}).values():
            known = view.knowledge
            if view.query.loads_all and known.assumed_complete and not known.complete:
                return known.known(), known.absorbed
        for depth in range(len(path) + 1):
            for view in self.views.get(path[:depth], {}).values():
                if view.knowledge.holds(path[depth:]):
                    known = view.knowledge
                    return get(known.server, path[depth:]), known.absorbed
        return None, frozenset()

    def overlay(self, path: Keys, value: Tree) -> Tree:
        """Give a value as if from the server, with the visible pending writes."""
        return self.replay(value, path)

    @property
    def is_empty(self) -> bool:
        """Say whether nobody listens."""
        return not self.views


def listen_change(start: bool, view: View) -> ListenChange:
    query = DEFAULT if view.query.loads_all else view.query
    return ListenChange(start, view.path, query, view.tag)
