"""The users of an app, as the auth service knows them, and the tokens that they have."""

import base64
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from firekeep.emulator.clock import Clock
from firekeep.emulator.identity import LoginRefused, Verifier
from firekeep.web_token import read_claims

__all__ = ["Account", "AccountError", "Accounts", "ResetCode", "unsigned_token"]

UID_LENGTH = 28
CODE_LENGTH = 54
MIN_PASSWORD_LENGTH = 6
LIFETIME_S = 3600
#: What a token says by itself, and nobody may claim besides.
RESERVED_CLAIMS = frozenset(
    {"acr", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "cnf", "exp", "firebase", "iat"}
    | {"iss", "jti", "nbf", "nonce", "sub"}
)


class AccountError(Exception):
    """What was asked is refused; its text is the code that the service answers with."""


@dataclass(slots=True)
class Account:
    """One user."""

    uid: str
    email: str | None = None
    password: str | None = field(default=None, repr=False)
    display_name: str | None = None
    photo_url: str | None = None
    is_email_verified: bool = False
    is_disabled: bool = False
    claims: dict[str, Any] = field(default_factory=dict[str, Any])
    """Custom claims, in every token from the next on."""
    providers: dict[str, str] = field(default_factory=dict[str, str])
    """What each identity provider calls them, by the provider's name."""
    created_ms: int = 0
    signed_in_ms: int = 0
    valid_since_s: int = 0
    """No token made before this lets its owner change the account."""


@dataclass(frozen=True, slots=True)
class ResetCode:
    """What would have been sent by e-mail."""

    email: str
    code: str = field(repr=False)
    kind: str = "PASSWORD_RESET"


@dataclass(frozen=True, slots=True)
class _Refreshing:
    """What a refresh token stands for."""

    uid: str
    provider: str
    claims: Mapping[str, Any]
    signed_in_ms: int


class Accounts:
    """All users of one emulator. A test may add, change and disable them.

    Example::

        server.accounts.add("ada", email="ada@example.com", password="secret1")
        server.accounts.disable("ada")
    """

    def __init__(self, clock: Clock, verifier: Verifier, project: str) -> None:
        self.project = project
        self.lifetime_s = LIFETIME_S
        """How long tokens that are made from now on are good."""
        self.codes: dict[str, ResetCode] = {}
        """What would have been sent by e-mail and has not been used."""
        self._clock = clock
        self._verifier = verifier
        self._accounts: dict[str, Account] = {}
        self._refreshing: dict[str, _Refreshing] = {}

    # The users.

    def add(
        self,
        uid: str | None = None,
        *,
        email: str | None = None,
        password: str | None = None,
        display_name: str | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> Account:
        """Add a user and return them.

        Raises:
            AccountError: there is one with this uid or e-mail, or they make no sense.
        """
        account = Account(
            _random_text(UID_LENGTH) if uid is None else uid,
            display_name=display_name,
            claims=dict(claims or {}),
            created_ms=self._clock.now_ms(),
        )
        if account.uid in self._accounts:
            raise AccountError("DUPLICATE_LOCAL_ID")
        if email is not None:
            self.change_email(account, email)
        if password is not None:
            self.change_password(account, password)
        self._accounts[account.uid] = account
        return account

    def get(self, uid: str) -> Account | None:
        """Return a user."""
        return self._accounts.get(uid)

    def with_email(self, email: str) -> Account | None:
        """Return the user with an e-mail, in whatever case it is written."""
        wanted = email.lower()
        return next((one for one in self._accounts.values() if one.email == wanted), None)

    def with_provider(self, provider: str, name: str) -> Account | None:
        """Return the user whom an identity provider calls so."""
        found = (one for one in self._accounts.values() if one.providers.get(provider) == name)
        return next(found, None)

    def disable(self, uid: str, flag: bool = True) -> None:
        """Let a user neither sign in nor refresh tokens; those they have stay good."""
        self._accounts[uid].is_disabled = flag

    def delete(self, uid: str) -> None:
        """Delete a user."""
        del self._accounts[uid]
        self.forget_refresh_tokens(uid)

    def clear(self) -> None:
        """Delete all users."""
        self._accounts.clear()
        self._refreshing.clear()
        self.codes.clear()

    def change_email(self, account: Account, email: str) -> None:
        """Give a user another e-mail."""
        if not all(email.partition("@")) or email.count("@") > 1:
            raise AccountError("INVALID_EMAIL")
        if self.with_email(email) not in (None, account):
            raise AccountError("EMAIL_EXISTS")
        account.email = email.lower()
        account.is_email_verified = False
        self._outdate(account)

    def change_password(self, account: Account, password: str) -> None:
        """Give a user another password; whoever is signed in as them is not any more."""
        if len(password) < MIN_PASSWORD_LENGTH:
            raise AccountError(
                f"WEAK_PASSWORD : Password should be at least {MIN_PASSWORD_LENGTH} characters"
            )
        account.password = password
        self._outdate(account)

    def _outdate(self, account: Account) -> None:
        account.valid_since_s = self._clock.now_ms() // 1000
        self.forget_refresh_tokens(account.uid)

    # All of it, to be kept.

    def export(self) -> dict[str, str]:
        """Return, by uid, a text for each user; their passwords and refresh tokens are in it."""
        tokens: dict[str, dict[str, object]] = {uid: {} for uid in self._accounts}
        for token, one in self._refreshing.items():
            tokens.setdefault(one.uid, {})[token] = asdict(one)
        return {
            uid: json.dumps({"account": asdict(account), "tokens": tokens[uid]})
            for uid, account in self._accounts.items()
        }

    def restore(self, texts: Mapping[str, str]) -> None:
        """Add the users that were exported; who is there already stays as they are."""
        for uid, text in texts.items():
            if uid not in self._accounts:
                stored = json.loads(text)
                self._accounts[uid] = Account(**stored["account"])
                for token, one in stored["tokens"].items():
                    self._refreshing[token] = _Refreshing(**one)

    # Their tokens.

    def sign_in(
        self, account: Account, provider: str, claims: Mapping[str, Any] | None = None
    ) -> tuple[str, str]:
        """Return an ID token and a refresh token; `claims` are part of this sign-in alone.

        Raises:
            AccountError: the user is disabled.
        """
        if account.is_disabled:
            raise AccountError("USER_DISABLED")
        account.signed_in_ms = self._clock.now_ms()
        refreshing = _Refreshing(account.uid, provider, dict(claims or {}), account.signed_in_ms)
        token = secrets.token_urlsafe(48)
        self._refreshing[token] = refreshing
        return self._id_token(account, refreshing), token

    def refresh(self, token: str) -> tuple[Account, str]:
        """Return whose refresh token it is, and a fresh ID token for them.

        Raises:
            AccountError: it counts no more, or never did; or the user is disabled.
        """
        refreshing = self._refreshing.get(token)
        account = None if refreshing is None else self._accounts.get(refreshing.uid)
        if refreshing is None or account is None:
            raise AccountError("INVALID_REFRESH_TOKEN")
        if account.is_disabled:
            raise AccountError("USER_DISABLED")
        return account, self._id_token(account, refreshing)

    def owner(self, id_token: str) -> tuple[Account, str]:
        """Return whose ID token it is, and how they signed in.

        Raises:
            AccountError: it counts no more, or never did; or the user is disabled or gone.
        """
        claims = read_claims(id_token) or {}
        details = claims.get("firebase")
        try:
            identity = self._verifier.identity(id_token)
        except LoginRefused:
            identity = None
        if identity is None or not isinstance(details, dict):
            raise AccountError("INVALID_ID_TOKEN")
        account = self._accounts.get(str(claims.get("user_id")))
        if account is None:
            raise AccountError("USER_NOT_FOUND")
        is_old = identity.issued_s < account.valid_since_s
        if is_old or self._verifier.refusal(identity) is not None:
            raise AccountError("TOKEN_EXPIRED")
        if account.is_disabled:
            raise AccountError("USER_DISABLED")
        return account, str(cast("dict[str, Any]", details).get("sign_in_provider"))

    def forget_refresh_tokens(self, uid: str) -> None:
        """Let no refresh token of a user count any more."""
        self._refreshing = {token: one for token, one in self._refreshing.items() if one.uid != uid}

    def send_code(self, email: str) -> None:
        """Send a code with which the password can be changed, as far as that goes here."""
        code = _random_text(CODE_LENGTH)
        self.codes[code] = ResetCode(email.lower(), code)

    def _id_token(self, account: Account, refreshing: _Refreshing) -> str:
        identities: dict[str, list[str]] = (
            {} if account.email is None else {"email": [account.email]}
        )
        identities |= {provider: [name] for provider, name in account.providers.items()}
        issued_s = self._verifier.issue_s(account.uid)
        is_anonymous = refreshing.provider == "anonymous"
        claims = {
            "name": account.display_name,
            "picture": account.photo_url,
            **account.claims,
            **refreshing.claims,
            "email": account.email,
            "email_verified": None if account.email is None else account.is_email_verified,
            "provider_id": "anonymous" if is_anonymous else None,
            "auth_time": refreshing.signed_in_ms // 1000,
            "user_id": account.uid,
            "firebase": {"identities": identities, "sign_in_provider": refreshing.provider},
            "iat": issued_s,
            "exp": issued_s + self.lifetime_s,
            "aud": self.project,
            "iss": f"https://securetoken.google.com/{self.project}",
            "sub": account.uid,
        }
        return unsigned_token({name: claim for name, claim in claims.items() if claim is not None})


def unsigned_token(claims: Mapping[str, object]) -> str:
    """Return a token as emulators make them: it says what it says, and nobody has signed it.

    Example::

        token = unsigned_token({"sub": "ada", "iat": 1_700_000_000, "exp": 1_700_003_600})
    """
    return f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{_encoded(claims)}."


def _encoded(value: Mapping[str, object]) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _random_text(length: int) -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join([secrets.choice(alphabet) for _ in range(length)])
