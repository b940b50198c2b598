"""Which places of a user's tree are worth keeping: those that a complete query selects."""

from firekeep.storage.held_children import HeldChildren
from firekeep_core.snap.path import Path
from firekeep_core.store.tracked import TrackedQueries

__all__ = ["claimed_places", "is_known"]


def is_known(queries: TrackedQueries, held: HeldChildren, owner: int, path: Path) -> bool:
    """Return whether all at a path is, as a whole or as part of a child that a window holds."""
    if queries.is_covered(owner, path):
        return True
    place, key = path.parent, path.keys[-1] if path else ""
    while place is not None:
        if held.is_held(owner, place, key):
            return True
        place, key = place.parent, place.keys[-1] if place else ""
    return False


def claimed_places(
    queries: TrackedQueries, held: HeldChildren, owner: int, path: Path
) -> list[Path] | None:
    """Return the places at and below a path that are claimed, none inside another.

    None if the path is claimed as a whole.
    """
    if is_known(queries, held, owner, path):
        return None
    claims: set[Path] = set()
    for query in queries.below(owner, path):
        if not query.is_complete:
            continue
        if query.is_default:
            claims.add(query.path)
        else:
            claims.update(query.path.child(Path.from_keys([key])) for key in held.of(query))
    return [place for place in sorted(claims) if not _is_inside_any(place, claims)]


def _is_inside_any(place: Path, claims: set[Path]) -> bool:
    above = place.parent
    while above is not None:
        if above in claims:
            return True
        above = above.parent
    return False
