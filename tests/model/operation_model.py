"""What changes knowledge in the model: pending writes, their acceptance, the server's data."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.model.tree_model import (
    PRIORITY,
    Keys,
    Tree,
    child_of,
    children_of,
    get,
    increments_in,
    resolve,
    update,
)
from tests.model.view_model import Knowledge, View


@dataclass
class Record:
    """One pending write: its entries in the order in which they apply."""

    write_id: int
    entries: list[tuple[Keys, Tree]]
    visible: bool
    sent: bool = False

    def sets(self, leaf: Keys) -> bool:
        """Say whether the write covers a leaf, other than by an increment of it."""
        return any(
            starts_with(leaf, entry)
            and entry[-1:] != (PRIORITY,)
            and all((*entry, *rest) != leaf for rest, _ in increments_in(value))
            for entry, value in self.entries
        )


def starts_with(path: Keys, prefix: Keys) -> bool:
    return path[: len(prefix)] == prefix


def replay_record(
    record: Record, base: Tree, at: Keys, absorbed: Iterable[tuple[int, Keys]] = ()
) -> Tree:
    """Apply one record to a value at a location."""
    for entry, value in record.entries:
        spent = {leaf[len(entry) :] for write_id, leaf in absorbed if write_id == record.write_id}
        if () in spent:
            continue  # the whole entry counts as nothing
        if starts_with(at, entry):
            rest = at[len(entry) :]
            base = resolve(get(value, rest), base, {leaf[len(rest) :] for leaf in spent})
        elif starts_with(entry, at):
            rest = entry[len(at) :]
            base = update(base, rest, resolve(value, get(base, rest), spent))
    return base


def assume(view: View, record: Record) -> None:
    """Keep the value of an accepted write on show where the server has not spoken."""
    knowledge, at = view.knowledge, view.path
    if knowledge.complete:
        return
    for entry, value in record.entries:
        one = Record(record.write_id, [(entry, value)], True)
        if starts_with(at, entry):
            assumed = replay_record(one, knowledge.known(), at, knowledge.absorbed)
            if not view.query.loads_all:
                keys = {key for key, _ in view.shown.items}
                knowledge.vacant |= keys
                assumed = {
                    key: child for key, child in children_of(assumed).items() if key in keys
                } or None
            knowledge.assumed = assumed
            knowledge.assumed_complete = True
        elif starts_with(entry, at):
            key = entry[len(at)]
            if knowledge.holds((key,)):
                continue
            everything = knowledge.assumed_complete and view.query.loads_all
            if everything or knowledge.knows(key) or len(entry) == len(at) + 1:
                knowledge.assumed = replay_record(one, knowledge.assumed, at, knowledge.absorbed)


def hear(view: View, key: str) -> None:
    """Drop what was assumed about a child: the server has spoken of it now."""
    knowledge = view.knowledge
    if child_of(knowledge.assumed, key) is not None:
        knowledge.assumed = update(knowledge.assumed, (key,), None)
    if not knowledge.whole:
        knowledge.vacant |= {key}


def overwrite_view(view: View, path: Keys, value: Tree, tag: int | None) -> None:
    """Take in that all of a path is now a value (§4.4 "Server overwrite")."""
    if starts_with(view.path, path):
        rest = view.path[len(path) :]
        replace_all(view, get(value, rest), tag)
    else:
        overwrite_below(view, path[len(view.path) :], value, tag)


def replace_all(view: View, value: Tree, tag: int | None) -> None:
    filtered = tag is not None and not view.query.loads_all
    server = view.query.filter(value) if filtered else value
    view.knowledge = Knowledge(
        server, True, filtered, confirmed=True, absorbed=view.knowledge.absorbed
    )


def overwrite_below(view: View, rest: Keys, value: Tree, tag: int | None) -> None:
    key, knowledge = rest[0], view.knowledge
    filters = begin(view, tag)
    if filters and key == PRIORITY:
        return
    if len(rest) > 1 and not knowledge.holds(rest):
        return  # deep data that are meant for another listener
    server = update(knowledge.server, rest, value)
    knowledge.server = view.query.filter(server) if filters else server
    hear(view, key)


def begin(view: View, tag: int | None) -> bool:
    """Hold no more than the window from the first message on that is for the query alone."""
    knowledge = view.knowledge
    if tag is not None and not view.query.loads_all and not knowledge.filtered:
        knowledge.server = view.query.filter(knowledge.server)
        knowledge.filtered = True
    return knowledge.filtered


def merge_view(view: View, path: Keys, children: list[tuple[Keys, Tree]], tag: int | None) -> None:
    """Take in that some children of a path are now so (§4.4 "Server merge")."""
    knowledge, at = view.knowledge, view.path
    entries = [((*path, *rest), value) for rest, value in children]
    for entry, value in entries:
        if starts_with(at, entry):
            replace_all(view, get(value, at[len(entry) :]), tag)
            return
    if knowledge.server is None and not knowledge.complete:
        return  # left over from an earlier listen; all of it will follow
    filters = begin(view, tag)
    server = knowledge.server
    for entry, value in entries:
        below_view = entry[len(at) :]
        if starts_with(entry, at) and (len(below_view) == 1 or knowledge.holds(below_view)):
            server = update(server, below_view, value)
            hear(view, below_view[0])
    knowledge.server = view.query.filter(server) if filters else server


def complete_view(view: View, path: Keys, tag: int | None) -> None:
    """Take in that everything at a path has been said (§4.4 "Listen-complete")."""
    if not starts_with(view.path, path):
        return
    knowledge = view.knowledge
    begin(view, tag)
    knowledge.complete = knowledge.confirmed = True
    knowledge.assumed, knowledge.assumed_complete, knowledge.vacant = None, False, frozenset()
