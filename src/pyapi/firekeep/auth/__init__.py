"""Who a client is: users who sign in, administrators, and tokens of one's own making.

A database takes any of it as `auth`::

    auth = firekeep.auth.Auth("my-api-key")
    async with firekeep.open(url, auth=auth, persistence=True) as db:
        await auth.sign_in_anonymously()
"""

from firekeep.auth.identity_toolkit import ProviderCredential
from firekeep.auth.providers import ProvidedToken, StaticToken, emulator_owner
from firekeep.auth.service_account import ServiceAccount
from firekeep.auth.source import Credential, CredentialChange, CredentialSource
from firekeep.auth.token_store import (
    FileTokenStore,
    KeyringTokenStore,
    MemoryTokenStore,
    TokenStore,
)
from firekeep.auth.user import User
from firekeep.auth.users import Auth

__all__ = [
    "Auth",
    "Credential",
    "CredentialChange",
    "CredentialSource",
    "FileTokenStore",
    "KeyringTokenStore",
    "MemoryTokenStore",
    "ProvidedToken",
    "ProviderCredential",
    "ServiceAccount",
    "StaticToken",
    "TokenStore",
    "User",
    "emulator_owner",
]
