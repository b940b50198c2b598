"""What a type checker must say of programs that use the package; checked, never run."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, assert_type

import firekeep
from firekeep import (
    ABORT,
    TIMESTAMP,
    Database,
    Event,
    Listener,
    Metadata,
    Path,
    Presence,
    Query,
    Reference,
    Snapshot,
    Status,
    Transaction,
    TransactionResult,
    Write,
)
from firekeep.auth import (
    Auth,
    Credential,
    CredentialSource,
    FileTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    ProviderCredential,
    ServiceAccount,
    TokenStore,
    User,
)
from firekeep.exceptions import FirekeepError


@dataclass
class Room:
    name: str
    members: dict[str, bool]


class Score(TypedDict):
    player: str
    points: int


async def databases() -> None:
    async with firekeep.open("https://my-app.firebaseio.com", auth="token") as db:
        assert_type(db, Database)
        assert_type(db.status, Status)
        assert_type(db.server_time(), datetime)
        assert_type(db.pending_writes(), list[Write])
        assert_type(db.pending_write(1), Write | None)
        assert_type(db.presence("online", value={"device": "phone"}), Presence)
        assert_type(await db.wait_for_pending_writes(timeout=5), None)
        async for status in db.status_changes():
            assert_type(status, Status)
        db.on_status(status_changed).close()
        db.on_write_rejected(lambda write: print(write.path, write.error)).close()

    firekeep.Database("https://x.firebaseio.com", auth=token, persistence=False)
    firekeep.open(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    firekeep.open("https://x.firebaseio.com", "token")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def identities() -> None:
    auth = Auth("key", FileTokenStore("user.json"))
    assert_type(auth.current_user, User | None)
    user = await auth.sign_in_with_email_and_password("ada@example.com", "secret1")
    assert_type(user, User)
    assert_type(user.claims, Mapping[str, object])
    await auth.sign_in_with_credential(ProviderCredential("google.com", id_token="token"))
    await auth.update_profile(display_name=None)
    auth.update_profile(display_name=5)  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]
    auth.on_state_changed(lambda user: print(user)).close()
    assert_type(await auth.id_token(), str)
    assert_type(await auth.token(), Credential | None)
    await auth.sign_out(clear=True)
    for source in (auth, ServiceAccount({}), ServiceAccount.application_default()):
        checked: CredentialSource = source
        firekeep.open("https://x.firebaseio.com", auth=checked)
    stores: list[TokenStore] = [MemoryTokenStore(), KeyringTokenStore("app")]
    assert_type(stores[0].load(), str | None)


async def references(db: Database) -> None:
    reference = db.reference("rooms")
    assert_type(reference, Reference)
    assert_type(reference / "lobby", Reference)
    assert_type(reference.child("lobby/name"), Reference)
    assert_type(reference.parent, Reference | None)
    assert_type(reference.root, Reference)
    assert_type(reference.key, str | None)
    assert_type(reference.path, Path)

    assert_type(reference.set(1), Write)
    assert_type(reference.set({"a": [1, "x", None, {"b": True}]}, priority=1), Write)
    assert_type(reference.set({"at": TIMESTAMP, "n": firekeep.increment(1)}), Write)
    assert_type(reference.update({"a/b": 1, "c": None}), Write)
    assert_type(reference.remove(), Write)
    assert_type(reference.set_priority("x"), Write)
    assert_type(reference.push({"a": 1}), Reference)
    assert_type(reference.push().write, Write | None)
    assert_type(reference.on_disconnect().set(TIMESTAMP), Write)
    assert_type(await reference.set(1), None)
    reference.set(object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    reference.set({1: 2})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]

    assert_type(reference.transaction(lambda value: (value or 0) + 1), Transaction)
    assert_type(await reference.transaction(lambda _value: ABORT), TransactionResult)


async def queries(reference: Reference) -> None:
    query = reference.order_by_child("age").start_at(18).limit_to_first(10)
    assert_type(query, Query)
    query.set(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]

    assert_type(await query.get(source="cache", timeout=None), Snapshot)
    assert_type(await query.once("child_added"), Snapshot)
    await query.once("child_vanished")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    async for snapshot in query.values():
        assert_type(snapshot, Snapshot)
    async for event in query.events("child_added", overflow="block"):
        assert_type(event, Event)
        assert_type(event.snapshot, Snapshot)
        assert_type(event.previous_key, str | None)
    query.events(overflow="spill")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    assert_type(query.on_value(value_changed), Listener)
    query.on_value(value_changed_slowly, on_cancel=cancelled)
    query.on_child_added(child_added)
    query.on_child_moved(lambda snapshot, previous_key: print(snapshot.key, previous_key))
    with reference.on_value(lambda snapshot: print(snapshot.value)) as listener:
        assert_type(listener, Listener)


def snapshots(snapshot: Snapshot) -> None:
    assert_type(snapshot.value, Any)
    assert_type(snapshot.exists(), bool)
    assert_type(snapshot["a/b"], Snapshot)
    assert_type([child.key for child in snapshot], list[str | None])
    assert_type(snapshot.metadata, Metadata)
    assert_type(snapshot.as_type(Room), Room)
    assert_type(snapshot.as_type(Score), Score)
    assert_type(snapshot.as_type(list[int]), list[int])


async def token(force_refresh: bool, /) -> str | None:
    return "forced" if force_refresh else "token"


def status_changed(status: Status) -> None:
    print(status.connection)


def value_changed(snapshot: Snapshot) -> None:
    print(snapshot.value)


def value_changed_slowly(snapshot: Snapshot) -> Awaitable[None]:
    raise NotImplementedError(snapshot.key)


async def child_added(snapshot: Snapshot, previous_key: str | None) -> None:
    print(snapshot.key, previous_key)


def cancelled(error: FirekeepError) -> None:
    print(error)
