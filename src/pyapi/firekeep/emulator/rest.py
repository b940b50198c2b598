"""The database over HTTP: one URL for each location."""

import json
import re
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import unquote

from firekeep.emulator.http import HttpRequest, HttpResponse
from firekeep.emulator.identity import NOBODY, Identity, LoginRefused
from firekeep.emulator.namespace import Namespace, read_path, read_piece, read_update
from firekeep.emulator.permissions import Permissions
from firekeep_core.errors import InvalidArgument, InvalidPath, InvalidQuery
from firekeep_core.query.params import QueryParams
from firekeep_core.snap.digest import hash_v1
from firekeep_core.snap.json import dump
from firekeep_core.snap.node import EMPTY, Node
from firekeep_core.snap.path import Path
from firekeep_core.snap.value import export, to_python

__all__ = ["respond"]

SUFFIX = ".json"
NO_TAG = "null_etag"
QUERY_PARAMETERS = frozenset(
    {
        "orderBy",
        "startAt",
        "startAfter",
        "endAt",
        "endBefore",
        "equalTo",
        "limitToFirst",
        "limitToLast",
    }
)
JSON_TYPE = "application/json; charset=utf-8"
# Pages from anywhere may use the emulator, as they may use the service.
COMMON_HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
PREFLIGHT_HEADERS = {
    **COMMON_HEADERS,
    "Access-Control-Allow-Methods": "GET, PUT, PATCH, POST, DELETE",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Expose-Headers": "ETag",
}
TIMEOUT = re.compile(r"\d+(ms|s|min)")
WRITE_SIZES = frozenset({"tiny", "small", "medium", "large", "unlimited"})


class _Refused(Exception):
    """The request ends here, with this status and text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def respond(namespace: Namespace, request: HttpRequest, permissions: Permissions) -> HttpResponse:
    """Do what a request asks and return what it is answered with.

    Source: wire §6.1 and §6.2.
    """
    try:
        return _Exchange(namespace, request, permissions).respond()
    except _Refused as refused:
        return _json_response(refused.status, {"error": refused.text})
    except (InvalidPath, InvalidQuery) as error:
        return _json_response(400, {"error": str(error)})
    except InvalidArgument as error:
        return _json_response(400, {"error": f"Invalid data; {error}"})


class _Exchange:
    """One request and what it is about."""

    def __init__(
        self, namespace: Namespace, request: HttpRequest, permissions: Permissions
    ) -> None:
        self._namespace = namespace
        self._request = request
        self._permissions = permissions
        self._identity = NOBODY
        self._parameters = request.parameters
        self._method = request.method

    def respond(self) -> HttpResponse:
        if self._method == "OPTIONS":
            return HttpResponse(204, headers=PREFLIGHT_HEADERS)
        if self._method == "POST":
            self._method = self._overriding_method()
        methods: dict[str, Callable[[Path], HttpResponse]] = {
            "GET": self._get,
            "HEAD": self._get,
            "PUT": self._put,
            "PATCH": self._patch,
            "POST": self._post,
            "DELETE": self._delete,
        }
        method = methods.get(self._method)
        if method is None:
            raise _Refused(405, f"Method {self._method} is not supported")
        self._check_parameters()
        self._identity = self._identify()
        return method(_read_url_path(self._request.path))

    # Methods.

    def _get(self, path: Path) -> HttpResponse:
        if "if-match" in self._request.headers:
            raise _Refused(400, "if-match is only supported for PUT and DELETE")
        if "text/event-stream" in self._request.headers.get("accept", ""):
            raise _Refused(501, "This emulator does not stream")
        if not self._permissions.allows_reading(self._identity, self._namespace, path):
            raise _Refused(401, "Permission denied")
        node = self._namespace.root.get(path)
        tag = _tag(node)
        expected = self._request.headers.get("if-none-match")
        if expected == tag:
            return HttpResponse(304, headers={**COMMON_HEADERS, "ETag": tag})
        headers = {"ETag": tag} if expected is not None else self._tag_headers(node)
        query = {name: self._parameters[name] for name in QUERY_PARAMETERS & set(self._parameters)}
        is_shallow = self._parameters.get("shallow") == "true"
        if is_shallow and "orderBy" not in query and query:
            # The official tools page through keys without naming the order (wire §6.1).
            query["orderBy"] = '"$key"'
        params = QueryParams.from_rest(query)
        return self._value_response(params.filter(node), headers, bool(query), is_shallow)

    def _put(self, path: Path) -> HttpResponse:
        return self._write(path, self._body())

    def _delete(self, path: Path) -> HttpResponse:
        return self._write(path, None)

    def _write(self, path: Path, value: object) -> HttpResponse:
        self._check_writing(path)
        expected = self._request.headers.get("if-match")
        current = self._namespace.root.get(path)
        if expected is not None and expected != _tag(current):
            headers = {**COMMON_HEADERS, "Content-Type": JSON_TYPE, "ETag": _tag(current)}
            return HttpResponse(412, self._text(current), headers)
        written = self._namespace.commit(path, [read_piece(path, value)])
        node = written[0][1] if written else EMPTY
        return self._value_response(node, self._tag_headers(self._namespace.root.get(path)))

    def _patch(self, path: Path) -> HttpResponse:
        self._refuse_condition()
        value = self._body()
        if not isinstance(value, dict):
            raise _Refused(400, "Invalid data; couldn't parse JSON object.")
        pieces = read_update(path, cast("object", value))
        for place, _ in pieces:
            self._check_writing(place)
        written = self._namespace.commit(path, pieces)
        below = len(path)
        data = {"/".join(place.keys[below:]): to_python(node) for place, node in written}
        return self._response(200, json.dumps(data).encode(), {})

    def _post(self, path: Path) -> HttpResponse:
        self._refuse_condition()
        key = self._namespace.next_push_id()
        place = path.child(key)
        self._check_writing(place)
        written = self._namespace.commit(place, [read_piece(place, self._body())])
        headers = self._tag_headers(written[0][1])
        return self._response(200, json.dumps({"name": key}).encode(), headers)

    # What they share.

    def _body(self) -> object:
        text = self._request.body
        if not text.strip():
            raise _Refused(400, "Error: No data supplied.")
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise _Refused(
                400, "Invalid data; couldn't parse JSON object, array, or value."
            ) from error

    def _check_writing(self, path: Path) -> None:
        if not self._permissions.allows_writing(self._identity, self._namespace, path):
            raise _Refused(401, "Permission denied")

    def _identify(self) -> Identity:
        """Return whom the request acts for (wire §6.1)."""
        kind, _, bearer = self._request.headers.get("authorization", "").partition(" ")
        credential = (
            self._parameters.get("auth")
            or self._parameters.get("access_token")
            or (bearer if kind.lower() == "bearer" else "")
        )
        if not credential:
            return NOBODY
        override = self._parameters.get("auth_variable_override")
        try:
            variable: object = None if override is None else json.loads(override)
            return self._permissions.verifier.verify(
                credential,
                variable=cast("dict[str, object]", variable)
                if isinstance(variable, dict)
                else None,
                as_nobody=override is not None and variable is None,
            )
        except (ValueError, RecursionError) as error:
            raise _Refused(400, "auth_variable_override is no JSON") from error
        except LoginRefused as refused:
            text = refused.text.rstrip(".") if refused.status == "expired_token" else refused.text
            raise _Refused(401, text) from refused

    def _refuse_condition(self) -> None:
        if "if-match" in self._request.headers:
            raise _Refused(400, "if-match is only supported for PUT and DELETE")

    def _overriding_method(self) -> str:
        override = self._request.headers.get(
            "x-http-method-override", self._parameters.get("x-http-method-override", "POST")
        )
        return override.upper()

    def _check_parameters(self) -> None:
        timeout = self._parameters.get("timeout")
        if timeout is not None and TIMEOUT.fullmatch(timeout) is None:
            raise _Refused(400, f"Invalid timeout {timeout!r:.40}: a number of ms, s or min")
        size = self._parameters.get("writeSizeLimit")
        if size is not None and size not in WRITE_SIZES:
            raise _Refused(400, f"Invalid writeSizeLimit {size!r:.40}")
        if self._parameters.get("print", "pretty") not in ("pretty", "silent"):
            raise _Refused(400, "print must be pretty or silent")
        if self._parameters.get("format", "export") != "export":
            raise _Refused(400, "format must be export")

    def _tag_headers(self, node: Node) -> dict[str, str]:
        wants_tag = self._request.headers.get("x-firebase-etag", "").lower() == "true"
        return {"ETag": _tag(node)} if wants_tag else {}

    def _text(self, node: Node) -> bytes:
        return dump(node, export=self._parameters.get("format") == "export")

    def _value_response(
        self,
        node: Node,
        headers: Mapping[str, str],
        is_query: bool = False,
        is_shallow: bool = False,
    ) -> HttpResponse:
        if is_shallow and node.is_map:
            parts = [_shallow(key, child) for key, child in node.items()]
            text = f"{{{','.join(parts)}}}".encode()
        elif is_query and node.is_map and self._parameters.get("format") != "export":
            # A query's answer is an object also if its keys are those of an array.
            children = [
                json.dumps(key).encode() + b":" + dump(child, export=False)
                for key, child in node.items()
            ]
            text = b"{" + b",".join(children) + b"}"
        else:
            text = self._text(node)
        return self._response(200, text, headers)

    def _response(self, status: int, text: bytes, headers: Mapping[str, str]) -> HttpResponse:
        headers = {**COMMON_HEADERS, **headers}
        printing = self._parameters.get("print")
        if printing == "silent":
            return HttpResponse(204, headers=headers)
        if printing == "pretty":
            text = json.dumps(json.loads(text), indent=2).encode() + b"\n"
        callback = self._parameters.get("callback")
        if callback is not None and self._method == "GET":
            if not re.fullmatch(r"[\w$.]+", callback, re.ASCII):
                raise _Refused(400, f"Invalid callback {callback!r:.40}")
            headers["Content-Type"] = "application/javascript; charset=utf-8"
            return HttpResponse(status, callback.encode() + b"(" + text + b");", headers)
        headers["Content-Type"] = JSON_TYPE
        if "download" in self._parameters and self._method == "GET":
            name = re.sub(r"[^\w.-]", "_", self._parameters["download"], flags=re.ASCII)
            headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return HttpResponse(status, text, headers)


def _read_url_path(encoded: str) -> Path:
    if not encoded.endswith(SUFFIX):
        raise _Refused(404, "append .json to your request URI to use the REST API.")
    keys = [unquote(key) for key in encoded.removesuffix(SUFFIX).split("/") if key]
    if any("/" in key for key in keys):
        raise _Refused(400, "Invalid path: Invalid token in path")
    try:
        return read_path("/".join(keys))
    except InvalidPath as error:
        raise _Refused(400, "Invalid path: Invalid token in path") from error


def _tag(node: Node) -> str:
    return hash_v1(node) or NO_TAG


def _shallow(key: str, child: Node) -> str:
    value = True if child.is_map else export(child.with_priority(None))
    return f"{json.dumps(key)}:{json.dumps(value)}"


def _json_response(status: int, value: object) -> HttpResponse:
    headers = {**COMMON_HEADERS, "Content-Type": JSON_TYPE}
    return HttpResponse(status, json.dumps(value).encode() + b"\n", headers)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
