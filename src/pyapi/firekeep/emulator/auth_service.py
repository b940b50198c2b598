"""The auth service over HTTP: a part of Identity Toolkit and of Secure Token.

Forms, codes and texts are those of the official emulator; unlike that one it counts time.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl

from firekeep.emulator.accounts import RESERVED_CLAIMS, Account, AccountError, Accounts
from firekeep.emulator.http import HttpRequest, HttpResponse
from firekeep.web_token import read_claims

__all__ = ["is_auth_request", "respond"]

ACCOUNTS = "/identitytoolkit.googleapis.com/v1/accounts:"
TOKENS = "/securetoken.googleapis.com/v1/token"
#: What would be sent by e-mail, and forgetting everybody; only emulators have these.
CODES = re.compile(r"/emulator/v1/projects/[^/]+/oobCodes")
EVERYBODY = re.compile(r"/emulator/v1/projects/[^/]+/accounts")
PREFIXES = ("/identitytoolkit.googleapis.com/", "/securetoken.googleapis.com/", "/emulator/")

CUSTOM_TOKEN_AUDIENCE = (
    "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
)
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Cache-Control": "no-store",
    "Content-Type": "application/json; charset=utf-8",
}

Body = Mapping[str, Any]


class _Refused(Exception):
    def __init__(self, status: int, message: str, reason: str, name: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.name = name


def is_auth_request(path: str) -> bool:
    """Return whether a path belongs to this service, and is no location of a database."""
    return path.startswith(PREFIXES)


def respond(accounts: Accounts, request: HttpRequest) -> HttpResponse:
    """Do what a request asks and return what it is answered with."""
    if request.method == "OPTIONS":
        return HttpResponse(204, headers=HEADERS)
    try:
        return _json(200, _answer(accounts, request))
    except AccountError as error:
        return _refusal(400, str(error), "invalid", None)
    except _Refused as refused:
        return _refusal(refused.status, str(refused), refused.reason, refused.name)


def _answer(accounts: Accounts, request: HttpRequest) -> dict[str, Any]:
    path = request.path.replace("%3A", ":").replace("%3a", ":")
    if request.method == "GET" and CODES.fullmatch(path):
        return {
            "oobCodes": [_code(one.email, one.code, one.kind) for one in accounts.codes.values()]
        }
    if request.method == "DELETE" and EVERYBODY.fullmatch(path):
        accounts.clear()
        return {}
    action = _ACTIONS.get(path.removeprefix(ACCOUNTS)) if path.startswith(ACCOUNTS) else None
    if path == TOKENS:
        action = _refresh
    if action is None or request.method != "POST":
        raise _Refused(404, "Not Found", "notFound", "NOT_FOUND")
    if not (request.parameters.get("key") or request.headers.get("x-goog-api-key")):
        text = "The request is missing a valid API key."
        raise _Refused(403, text, "forbidden", "PERMISSION_DENIED")
    return action(accounts, _body(request))


def _body(request: HttpRequest) -> dict[str, Any]:
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        try:
            return dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        except UnicodeDecodeError:
            return {}
    try:
        value: object = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Refused(400, "Invalid JSON payload received.", "parseError", "INVALID_ARGUMENT")
    return cast("dict[str, Any]", value)


# What can be asked.


def _sign_up(accounts: Accounts, body: Body) -> dict[str, Any]:
    if "localId" in body:
        raise AccountError("UNEXPECTED_PARAMETER : User ID")
    email, password = _optional(body, "email"), _optional(body, "password")
    name = _optional(body, "displayName")
    if email is None and password is None and "idToken" not in body:
        account, provider = accounts.add(), "anonymous"
    else:
        email, password = _text(body, "email"), _text(body, "password")
        provider = "password"
        if "idToken" in body:
            # An anonymous user who wants to be able to come back.
            account, _ = accounts.owner(_text(body, "idToken"))
            accounts.change_email(account, email)
            accounts.change_password(account, password)
        else:
            account = accounts.add(email=email, password=password, display_name=name)
    return {
        "kind": "identitytoolkit#SignupNewUserResponse",
        "localId": account.uid,
        **_described(account),
        **_tokens(accounts, account, provider),
    }


def _sign_in_with_password(accounts: Accounts, body: Body) -> dict[str, Any]:
    email = _text(body, "email")
    if not all(email.partition("@")):
        raise AccountError("INVALID_EMAIL")
    password = _text(body, "password")
    account = accounts.with_email(email)
    if account is None:
        raise AccountError("EMAIL_NOT_FOUND")
    if account.is_disabled:
        raise AccountError("USER_DISABLED")
    if account.password != password:
        raise AccountError("INVALID_PASSWORD")
    return {
        "kind": "identitytoolkit#VerifyPasswordResponse",
        "registered": True,
        "localId": account.uid,
        **_described(account),
        **_tokens(accounts, account, "password"),
    }


def _sign_in_with_custom_token(accounts: Accounts, body: Body) -> dict[str, Any]:
    token = _text(body, "token", "CUSTOM_TOKEN")
    claims = _json_or_claims(token)
    if claims is None:
        raise AccountError("INVALID_CUSTOM_TOKEN : Invalid assertion format")
    if not token.startswith("{") and claims.get("aud") != CUSTOM_TOKEN_AUDIENCE:
        raise AccountError(
            f"INVALID_CUSTOM_TOKEN : ((Invalid aud (audience): {claims.get('aud')!s:.100}))"
        )
    uid = claims.get("uid", claims.get("user_id"))
    if not isinstance(uid, str) or not uid:
        raise AccountError("MISSING_IDENTIFIER")
    extra = claims.get("claims", {})
    if not isinstance(extra, dict):
        raise AccountError("INVALID_CLAIMS")
    own = cast("dict[str, Any]", extra)
    for name in sorted(RESERVED_CLAIMS & own.keys()):
        raise AccountError(f"FORBIDDEN_CLAIM : {name}")
    account = accounts.get(uid)
    is_new = account is None
    account = accounts.add(uid) if account is None else account
    return {
        "kind": "identitytoolkit#VerifyCustomTokenResponse",
        "isNewUser": is_new,
        **_tokens(accounts, account, "custom", own),
    }


def _sign_in_with_provider(accounts: Accounts, body: Body) -> dict[str, Any]:
    if "requestUri" not in body:
        raise AccountError("MISSING_REQUEST_URI")
    form = dict(parse_qsl(str(body.get("postBody", ""))))
    provider = form.get("providerId", "").lower()
    if not provider:
        raise AccountError("INVALID_CREDENTIAL_OR_PROVIDER_ID : Invalid IdP response/credential")
    if "id_token" not in form:
        text = "This emulator only supports sign-in with credentials (id_token required)."
        raise _Refused(501, text, "unimplemented", "NOT_IMPLEMENTED")
    claims = _json_or_claims(form["id_token"])
    if claims is None:
        raise AccountError("INVALID_IDP_RESPONSE : Unable to parse id_token")
    name = claims.get("sub")
    if not isinstance(name, str) or not name:
        raise AccountError('INVALID_IDP_RESPONSE : id_token without "sub"')
    answer = {
        "kind": "identitytoolkit#VerifyAssertionResponse",
        "providerId": provider,
        "displayName": claims.get("name"),
        "photoUrl": claims.get("picture"),
        "email": claims.get("email"),
        "emailVerified": claims.get("email_verified") is True,
        "federatedId": name,
        "rawUserInfo": json.dumps(claims),
        "oauthIdToken": form["id_token"],
    }
    account, is_new = _federated(accounts, provider, name, answer)
    if account is None:
        return {**answer, "needConfirmation": True}
    answer |= {"localId": account.uid, "emailVerified": account.is_email_verified}
    return {**answer, "isNewUser": is_new, **_tokens(accounts, account, provider)}


def _federated(
    accounts: Accounts, provider: str, name: str, answer: Body
) -> tuple[Account | None, bool]:
    """Return whose identity it is, and whether they are new; None if that has to be confirmed."""
    known = accounts.with_provider(provider, name)
    if known is not None:
        return known, False
    email = answer["email"]
    account = accounts.with_email(email) if email else None
    if account is not None and not answer["emailVerified"]:
        return None, False
    is_new = account is None
    if account is None:
        account = accounts.add(email=email, display_name=answer["displayName"])
        account.photo_url = answer["photoUrl"]
    account.is_email_verified = answer["emailVerified"]
    account.providers[provider] = name
    return account, is_new


def _lookup(accounts: Accounts, body: Body) -> dict[str, Any]:
    account, _ = accounts.owner(_text(body, "idToken"))
    providers: list[dict[str, Any]] = [
        {"providerId": provider, "rawId": name, "federatedId": name}
        for provider, name in account.providers.items()
    ]
    if account.password is not None:
        own = {"providerId": "password", "rawId": account.email, "federatedId": account.email}
        providers.append({**own, **_described(account)})
    user = {
        "localId": account.uid,
        **_described(account),
        "photoUrl": account.photo_url,
        "emailVerified": account.is_email_verified,
        "providerUserInfo": providers,
        "validSince": str(account.valid_since_s),
        "createdAt": str(account.created_ms),
        "lastLoginAt": str(account.signed_in_ms),
        "customAttributes": json.dumps(account.claims) if account.claims else None,
    }
    shown = {name: value for name, value in user.items() if value is not None}
    return {"kind": "identitytoolkit#GetAccountInfoResponse", "users": [shown]}


def _update(accounts: Accounts, body: Body) -> dict[str, Any]:
    if "idToken" not in body:
        raise AccountError("INVALID_REQ_TYPE : Unsupported request parameters.")
    if "customAttributes" in body:
        raise AccountError("INSUFFICIENT_PERMISSION")
    account, provider = accounts.owner(_text(body, "idToken"))
    email, password = _optional(body, "email"), _optional(body, "password")
    is_moved = email is not None and email.lower() != account.email
    if is_moved:
        accounts.change_email(account, cast("str", email))
    if password is not None:
        accounts.change_password(account, password)
        provider = "password"
    account.display_name = _optional(body, "displayName") or account.display_name
    account.photo_url = _optional(body, "photoUrl") or account.photo_url
    removed = cast("list[object]", body.get("deleteAttribute") or [])
    if "DISPLAY_NAME" in removed:
        account.display_name = None
    if "PHOTO_URL" in removed:
        account.photo_url = None
    answer = {
        "kind": "identitytoolkit#SetAccountInfoResponse",
        "localId": account.uid,
        **_described(account),
        "photoUrl": account.photo_url,
        "emailVerified": account.is_email_verified,
    }
    if is_moved or password is not None:
        answer |= _tokens(accounts, account, provider)
    return {name: value for name, value in answer.items() if value is not None}


def _delete(accounts: Accounts, body: Body) -> dict[str, Any]:
    account, _ = accounts.owner(_text(body, "idToken"))
    accounts.delete(account.uid)
    return {"kind": "identitytoolkit#DeleteAccountResponse"}


def _send_code(accounts: Accounts, body: Body) -> dict[str, Any]:
    kind = _text(body, "requestType", "REQ_TYPE")
    if kind != "PASSWORD_RESET":
        raise _Refused(501, kind, "unimplemented", "NOT_IMPLEMENTED")
    email = _text(body, "email")
    if accounts.with_email(email) is None:
        raise AccountError("EMAIL_NOT_FOUND")
    accounts.send_code(email)
    return {"kind": "identitytoolkit#GetOobConfirmationCodeResponse", "email": email.lower()}


def _reset_password(accounts: Accounts, body: Body) -> dict[str, Any]:
    name = _text(body, "oobCode", "OOB_CODE")
    code = accounts.codes.get(name)
    account = None if code is None else accounts.with_email(code.email)
    if code is None or account is None:
        raise AccountError("INVALID_OOB_CODE")
    password = _optional(body, "newPassword")
    if password is not None:
        accounts.change_password(account, password)
        account.is_email_verified = True
        del accounts.codes[name]
    kind = "identitytoolkit#ResetPasswordResponse"
    return {"kind": kind, "email": code.email, "requestType": code.kind}


def _refresh(accounts: Accounts, body: Body) -> dict[str, Any]:
    kind = body.get("grant_type", body.get("grantType"))
    if not kind:
        raise AccountError("MISSING_GRANT_TYPE")
    if kind != "refresh_token":
        raise AccountError("INVALID_GRANT_TYPE")
    token = body.get("refresh_token", body.get("refreshToken"))
    if not isinstance(token, str) or not token:
        raise AccountError("MISSING_REFRESH_TOKEN")
    account, id_token = accounts.refresh(token)
    return {
        "id_token": id_token,
        "access_token": id_token,
        "expires_in": str(accounts.lifetime_s),
        "refresh_token": token,
        "token_type": "Bearer",
        "user_id": account.uid,
        "project_id": accounts.project,
    }


_ACTIONS: dict[str, Callable[[Accounts, Body], dict[str, Any]]] = {
    "signUp": _sign_up,
    "signInWithPassword": _sign_in_with_password,
    "signInWithCustomToken": _sign_in_with_custom_token,
    "signInWithIdp": _sign_in_with_provider,
    "lookup": _lookup,
    "update": _update,
    "delete": _delete,
    "sendOobCode": _send_code,
    "resetPassword": _reset_password,
}


def _tokens(
    accounts: Accounts, account: Account, provider: str, claims: Body | None = None
) -> dict[str, str]:
    id_token, refresh_token = accounts.sign_in(account, provider, claims)
    return {
        "idToken": id_token,
        "refreshToken": refresh_token,
        "expiresIn": str(accounts.lifetime_s),
    }


def _described(account: Account) -> dict[str, str]:
    described = {"email": account.email, "displayName": account.display_name}
    return {name: value for name, value in described.items() if value is not None}


def _code(email: str, code: str, kind: str) -> dict[str, str]:
    return {"email": email, "requestType": kind, "oobCode": code}


def _json_or_claims(token: str) -> dict[str, Any] | None:
    """Return what a token says that is either JSON, as only emulators take it, or a real one."""
    if not token.startswith("{"):
        return read_claims(token)
    try:
        value: object = json.loads(token)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _optional(body: Body, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _text(body: Body, name: str, shown: str | None = None) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        words = re.sub(r"(?=[A-Z])", "_", name).upper() if shown is None else shown
        raise AccountError(f"MISSING_{words}")
    return value


def _refusal(status: int, message: str, reason: str, name: str | None) -> HttpResponse:
    error: dict[str, Any] = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "reason": reason, "domain": "global"}],
    }
    if name is not None:
        error["status"] = name
    return _json(status, {"error": error})


def _json(status: int, value: Mapping[str, Any]) -> HttpResponse:
    return HttpResponse(status, json.dumps(value).encode(), HEADERS)
