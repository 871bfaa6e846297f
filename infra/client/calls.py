"""One call to the API: headers, repeats, envelope."""

from collections.abc import Mapping
from typing import Literal, TypeVar

import httpx
import msgspec
from msgspec import Struct

from infra.client.envelope import Envelope, open_data, open_envelope
from infra.client.repeat import Sleep, send_repeated

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "DELETE"]


class Calls:
    """Sends calls below one base URL. `token` goes out as a bearer token once it is set."""

    def __init__(self, http: httpx.Client, base_url: str, token: str | None, sleep: Sleep) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._sleep = sleep
        self.token = token

    def data(
        self,
        method: Method,
        path: str,
        kind: type[T],
        body: Struct | None = None,
        *,
        params: Mapping[str, str] | None = None,
        idempotent: bool = True,
    ) -> T:
        """The answer's data as `kind`. Raises ClientError."""
        return self.answer(method, path, kind, body, params=params, idempotent=idempotent)[0]

    def answer(
        self,
        method: Method,
        path: str,
        kind: type[T],
        body: Struct | None = None,
        *,
        params: Mapping[str, str] | None = None,
        idempotent: bool = True,
    ) -> tuple[T, Envelope]:
        """The answer's data as `kind`, and its envelope for the sake of `meta`."""
        call = f"{method} {path}"
        request = self._http.build_request(
            method,
            self._base_url + path,
            params=params,
            headers=self._headers(),
            content=b"" if body is None else msgspec.json.encode(body),
        )
        response = send_repeated(
            call, lambda: self._http.send(request), self._sleep, idempotent=idempotent
        )
        envelope = open_envelope(call, response)
        return open_data(call, response, envelope, kind), envelope

    def _headers(self) -> dict[str, str]:
        """A JSON content type also where the body is empty, exactly as the app sends it."""
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers
