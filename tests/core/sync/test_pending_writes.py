"""What is on show while writes are pending, and after their answers (sync-engine §5)."""

from typing import Any

import pytest
from tests.core.sync.scene import Scene, increment


@pytest.mark.parametrize(
    ("value", "children"),
    [(2, {"b": 2}), (None, None), ({"x": 1}, {"b": {"x": 1}})],
    ids=["set", "remove", "object"],
)
def test_confirmation_of_what_is_shown_raises_nothing(
    scene: Scene, value: Any, children: Any
) -> None:
    # I-27
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    write = scene.set("a/b", value)
    scene.heard()

    scene.server_sets("a/b", value)
    scene.accept(write)

    assert scene.heard() == []
    assert scene.value("a") == children


def test_confirmation_of_an_update_raises_nothing(scene: Scene) -> None:
    # I-27
    scene.listen("a")
    scene.server_sets("a", {"b": 1, "c": 1})
    write = scene.update("a", {"b": 2, "d/e": 3})
    scene.heard()

    scene.server_merges("a", {"b": 2, "d/e": 3})
    scene.accept(write)

    assert scene.heard() == []


def test_confirmation_of_a_priority_raises_nothing(scene: Scene) -> None:
    # I-27
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    write = scene.set_priority("a/b", 5)
    scene.heard()

    scene.server_sets("a/b/.priority", 5)
    scene.accept(write)

    assert scene.heard() == []


def test_the_server_speaks_in_silence_under_a_pending_write(scene: Scene) -> None:
    # I-28
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    write = scene.set("a/b", 2)
    scene.heard()

    scene.server_sets("a/b", 3)
    silence = scene.heard()
    scene.reject(write)

    assert silence == []
    assert scene.heard() == [("a", "changed", "b", None, 3), ("a", "value", {"b": 3})]


def test_what_the_server_made_of_a_write_shows_with_its_answer(scene: Scene) -> None:
    # I-28, §3.8
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    write = scene.set("a/b", 2)
    scene.server_sets("a/b", 3)
    scene.heard()

    scene.accept(write)

    assert scene.heard() == [("a", "changed", "b", None, 3), ("a", "value", {"b": 3})]


@pytest.mark.parametrize(
    ("before", "path", "written"),
    [
        ({"b": 1, ".priority": 5}, "a", 7),
        (7, "a/b", {"c": 1}),
        ({".value": 7, ".priority": 5}, "a/b/c", 1),
        ({"b": {".value": 1, ".priority": "p"}}, "a/b", 2),
        ({"b": 1}, "a/b", None),
        (None, "a/b/c", 1),
        ({"b": 1}, "a/.priority", 3),
    ],
    ids=[
        "to leaf",
        "to object",
        "priority",
        "child priority",
        "emptied",
        "created",
        "set priority",
    ],
)
def test_rejecting_the_only_write_restores_what_was_shown(
    scene: Scene, before: Any, path: str, written: Any
) -> None:
    # I-36
    scene.listen("a")
    scene.server_sets("a", before)
    write = scene.set(path, written)
    assert scene.value("a") != before

    scene.reject(write)

    assert scene.value("a") == before


def test_rejecting_a_shadowed_write_raises_nothing(scene: Scene) -> None:
    # I-37
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    shadowed = scene.set("a/b", 2)
    scene.set("a", {"b": 3})
    scene.heard()

    scene.reject(shadowed)

    assert scene.heard() == []


def test_rejecting_a_later_write_shows_the_earlier_one_and_not_the_server(scene: Scene) -> None:
    # I-37
    scene.listen("a")
    scene.server_sets("a", {"b": 1})
    scene.set("a/b", 2)
    later = scene.set("a/b", 3)

    scene.reject(later)

    assert scene.value("a") == {"b": 2}


def test_an_update_of_several_paths_is_one_batch(scene: Scene) -> None:
    # I-38
    scene.listen("", kinds=("value",))
    scene.server_sets("", {"a": {"x": 1}, "b": 1})
    scene.heard()

    write = scene.update("", {"a/x": 2, "b": 2, "c/d": 3})
    applied = scene.heard()
    scene.reject(write)

    assert applied == [("", "value", {"a": {"x": 2}, "b": 2, "c": {"d": 3}})]
    assert scene.heard() == [("", "value", {"a": {"x": 1}, "b": 1})]


def test_a_write_under_an_unknown_parent_shows_as_far_as_it_is_known(scene: Scene) -> None:
    # I-39
    scene.listen("a")
    scene.set("a/b", 1)
    scene.set("a/c/d", 2)

    assert scene.heard() == [("a", "added", "b", None, 1)]

    scene.server_sets("a", {"c": {"e": 3}})

    assert scene.heard() == [
        ("a", "added", "c", "b", {"e": 3, "d": 2}),
        ("a", "value", {"b": 1, "c": {"e": 3, "d": 2}}),
    ]


def test_a_deleted_child_stays_away_unless_the_server_makes_it_again(scene: Scene) -> None:
    # I-40
    scene.listen("a")
    scene.server_sets("a", {"b": 1, "c": 1})
    write = scene.set("a/b", None)
    scene.server_sets("a/b", 5)  # somebody else, before our deletion arrived
    scene.server_sets("a/b", None)
    scene.accept(write)
    after_answer = scene.value("a")

    scene.server_sets("a/b", 6)

    assert after_answer == {"c": 1}
    assert scene.value("a") == {"b": 6, "c": 1}


def test_a_priority_on_nothing_waits_for_a_value(scene: Scene) -> None:
    # I-9
    scene.listen("a")
    scene.server_sets("a", None)
    scene.set_priority("a", 5)
    scene.heard()

    scene.server_sets("a", 1)

    assert scene.heard() == [("a", "value", {".value": 1, ".priority": 5})]


def test_set_clears_a_priority_and_an_update_keeps_it(scene: Scene) -> None:
    # I-10
    scene.listen("a")
    scene.server_sets("a", {"b": 1, ".priority": 5})
    scene.update("a", {"b": 2})
    updated = scene.value("a")

    scene.set("a", {"b": 3})

    assert updated == {"b": 2, ".priority": 5}
    assert scene.value("a") == {"b": 3}


def test_an_accepted_write_stays_on_show_until_the_server_speaks(scene: Scene) -> None:
    scene.listen("a")
    write = scene.set("a", {"b": 1})
    scene.accept(write)
    scene.heard()

    assert scene.value("a") == {"b": 1}

    scene.server_sets("a", {"b": 2})

    assert scene.heard() == [("a", "changed", "b", None, 2), ("a", "value", {"b": 2})]


def test_an_answer_without_data_ends_what_was_assumed(scene: Scene) -> None:
    # Found by the model: the hash said "nothing", the server has nothing.
    write = scene.set("a", {"b": 1})
    scene.listen("a", limitToFirst=2)
    scene.accept(write)
    scene.heard()

    scene.answer_listen("a", tag=1)

    assert scene.heard() == [("a", "removed", "b", 1), ("a", "value", None)]


def test_the_hash_of_a_listen_is_that_of_all_that_is_held(scene: Scene) -> None:
    # Found by the model: "the same as nothing" would confirm the child.
    scene.listen("a/b")
    scene.server_sets("a/b", 1)
    scene.listen("a")

    assert scene.held("a") == {"b": 1}


def test_revert_of_everything_shows_what_the_server_said(scene: Scene) -> None:
    # I-47
    scene.listen("a", kinds=("value",))
    scene.server_sets("a", {"b": 1})
    scene.set("a/b", 2)
    scene.update("a", {"c": 3})
    scene.set("a", None, visible=False)
    scene.heard()

    scene.events += scene.engine.revert_all()

    assert scene.heard() == [("a", "value", {"b": 1})]
    assert scene.latest_state("a") == {"b": 1}


# Increments (§5.7).


def test_two_increments_stack_and_never_overshoot(scene: Scene) -> None:
    # I-41
    scene.listen("n")
    scene.server_sets("n", 5)
    first = scene.set("n", increment(1))
    second = scene.set("n", increment(1))
    scene.send(first, second)

    scene.server_sets("n", 6)
    scene.accept(first)
    scene.server_sets("n", 7)
    scene.accept(second)

    assert scene.heard() == [("n", "value", 5), ("n", "value", 6), ("n", "value", 7)]


def test_an_older_set_is_not_taken_for_the_increment_after_it(scene: Scene) -> None:
    # I-41; found by the model: nothing + 1 is 1 as well
    scene.listen("n")
    scene.server_sets("n", None)
    set_id = scene.set("n", 1)
    increment_id = scene.set("n", increment(1))
    scene.send(set_id, increment_id)
    scene.heard()

    scene.server_sets("n", 1)
    scene.accept(set_id)
    scene.server_sets("n", 2)
    scene.accept(increment_id)

    assert scene.heard() == []
    assert scene.value("n") == 2


def test_an_absorbed_increment_leaves_what_is_below_it(scene: Scene) -> None:
    # Found by the model.
    scene.listen("")
    scene.server_sets("", None)
    write = scene.set("n", increment(1))
    scene.send(write)
    scene.server_sets("n", 1)
    scene.set("n/below", 5)

    assert scene.value("") == {"n": {"below": 5}}


def test_an_increment_follows_the_value_that_it_is_based_on(scene: Scene) -> None:
    # I-42
    scene.listen("n")
    scene.server_sets("n", 5)
    scene.set("n", increment(1))
    scene.heard()

    scene.server_sets("n", 10)

    assert scene.heard() == [("n", "value", 11)]


def test_an_increment_whose_answer_was_lost_counts_again(scene: Scene) -> None:
    # W-10
    scene.listen("n")
    scene.server_sets("n", 5)
    write = scene.set("n", increment(1))
    scene.send(write)
    scene.server_sets("n", 6)
    absorbed = scene.value("n")

    scene.lose_connection()

    assert (absorbed, scene.value("n")) == (6, 7)


def test_an_unsent_increment_is_not_taken_for_somebody_elses(scene: Scene) -> None:
    scene.listen("n")
    scene.server_sets("n", 5)
    scene.set("n", increment(1))

    scene.server_sets("n", 6)

    assert scene.value("n") == 7


def test_each_query_absorbs_an_increment_by_its_own_message(scene: Scene) -> None:
    scene.listen("c", orderBy="n", limitToFirst=2)
    scene.listen("c", orderBy="n", limitToLast=2)
    scene.server_sets("c", {"a": {"n": 5}}, tag=1)
    scene.server_sets("c", {"a": {"n": 5}}, tag=2)
    write = scene.set("c/a/n", increment(1))
    scene.send(write)
    scene.heard()

    scene.server_sets("c/a/n", 6, tag=1)
    scene.server_sets("c/a/n", 6, tag=2)
    scene.accept(write)

    assert scene.heard() == []


def test_an_increment_is_accepted_on_top_of_what_each_query_knows(scene: Scene) -> None:
    # Found by the model: the value of another query was taken, with the increment in it.
    scene.listen("", limitToFirst=2)
    scene.listen("b")
    scene.server_sets("", {"b": 1}, tag=1)
    write = scene.set("b", increment(1))
    scene.send(write)
    scene.server_sets("b", 2, tag=1)
    shown = scene.value("b")
    scene.heard()

    scene.accept(write)

    assert scene.heard() == []
    assert scene.value("b") == shown


def test_a_transaction_does_not_count_an_absorbed_increment_twice(scene: Scene) -> None:
    # Found by the model.
    scene.listen("", limitToFirst=2)
    scene.server_sets("", {"b": 1}, tag=1)
    write = scene.set("b", increment(1))
    scene.send(write)

    scene.server_sets("b", 2, tag=1)

    assert scene.latest_state("b") == 2


# What transactions start from (§6.2).


def test_hidden_writes_count_for_transactions_and_can_be_left_out(scene: Scene) -> None:
    scene.listen("a")
    scene.server_sets("a", 1)
    first = scene.set("a", 2, visible=False)
    second = scene.set("a", 3, visible=False)

    assert scene.value("a") == 1
    assert scene.latest_state("a") == 3
    assert scene.latest_state("a", second) == 2
    assert scene.latest_state("a", first, second) == 1


def test_an_unknown_place_is_empty_for_transactions(scene: Scene) -> None:
    # I-89
    scene.listen("a/b")
    scene.server_sets("a/b", 1)

    assert scene.latest_state("a") is None
    assert scene.latest_state("a/b") == 1


@pytest.mark.parametrize("answers", ["in order", "backwards", "every second first"])
@pytest.mark.parametrize("refused", [False, True], ids=["accepted", "refused"])
def test_a_long_queue_at_one_place_shows_its_latest_write(
    scene: Scene, answers: str, refused: bool
) -> None:
    # I-37, I-44
    scene.listen("a")
    scene.server_sets("a", {"b": -1})
    writes = [scene.set("a/b", number) for number in range(40)]
    order = {
        "in order": writes,
        "backwards": writes[::-1],
        "every second first": writes[::2] + writes[1::2],
    }[answers]

    pending = list(range(40))
    known = -1
    for write in order:
        number = writes.index(write)
        pending.remove(number)
        if refused:
            scene.reject(write)
        else:
            known = number
            scene.server_sets("a/b", number)
            scene.accept(write)

        assert scene.value("a") == {"b": pending[-1] if pending else known}
