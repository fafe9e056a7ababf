"""A client of the HTTP API, as a member or an aggregator would write one."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

Json = dict[str, Any]


class ApiError(RuntimeError):
    """The API refused a request; the message carries its explanation."""

    def __init__(self, status: int, document: Json) -> None:
        fields = "; ".join(f"{e['field']}: expected {e['expected']}, got {e['got']}" for e in document.get("errors", []))
        super().__init__(f"{status} {document.get('detail', '')} {fields}".strip())
        self.status = status
        self.document = document


class Api:
    """The API at a base URL, with the operator's token where one is given."""

    def __init__(self, url: str, token: str | None = None, timeout: float = 600) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url + "/api/v1", headers=headers, timeout=timeout, trust_env=False)

    def get(self, path: str, authorization: str | None = None, **query: object) -> Any:
        headers = {"Authorization": authorization} if authorization else {}
        given = {k: [str(one) for one in v] if isinstance(v, list) else str(v) for k, v in query.items()}
        return self._answer(self._http.get(path, params=given, headers=headers))

    def post(self, path: str, body: object = None) -> Any:
        return self._answer(self._http.post(path, json=body))

    def post_csv(self, path: str, text: str) -> Any:
        return self._answer(self._http.post(path, content=text.encode(), headers={"Content-Type": "text/csv"}))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def _answer(response: httpx.Response) -> Any:
        if response.is_success:
            return response.json()
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):  # not by the marketplace: something on the way
            document = {"detail": response.text[:200]}
        raise ApiError(response.status_code, document)
