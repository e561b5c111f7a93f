"""Speaking to Google Cloud Storage: credentials, one line kept open, time limits, and refusals as sentences.

Which requests are made, and in which order, is in gcs.py. The address of an upload is as good as a password: no text
that leaves here has it.
"""

from __future__ import annotations

import json
import re
from typing import Any

from spec.errors import ConnectorError, DeclarationError

SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
RETRIABLE = frozenset({408, 429, 500, 502, 503, 504})
MISSING, NO_BUCKET = 404, "The specified bucket"
"""A missing object may be what is asked about; a missing bucket never is."""
ADVICE = {
    400: "the request was not understood",
    401: "the credentials were not accepted: make a new key for the service account",
    403: "give the account the role Storage Object User (roles/storage.objectUser) on the bucket",
    404: "there is no such bucket: check `bucket`",
    429: "too many requests: it is tried again",
}
NO_CREDENTIALS = (
    "there are no Google credentials: set `credentials` to a service account's JSON key, or give this machine "
    "application default credentials (GOOGLE_APPLICATION_CREDENTIALS)"
)


class Session:
    """One line to the service, with the account's credentials where they are wanted."""

    def __init__(self, key: str | None, where: str, connect: int, idle: int) -> None:
        """`key` is the text of a service account's JSON key; None takes what the machine has."""
        import requests
        from google.auth.transport.requests import AuthorizedSession

        self.where = where
        self.credentials = _credentials(key, where)
        self._timeout = (connect, idle)
        self._ours = AuthorizedSession(self.credentials)
        self._bare = requests.Session()

    def ask(self, doing: str, method: str, url: str, accept: frozenset[int], **request: Any) -> Any:
        """The answer to a request as this account. Raises ConnectorError for a status not in `accept`."""
        return self._ask(self._ours, doing, method, url, accept, request)

    def upload(self, doing: str, method: str, url: str, accept: frozenset[int], **request: Any) -> Any:
        """The same to the address of an upload, which needs no credentials: none are sent wherever it leads."""
        return self._ask(self._bare, doing, method, url, accept, request)

    def _ask(
        self, line: Any, doing: str, method: str, url: str, accept: frozenset[int], request: dict[str, Any]
    ) -> Any:
        import google.auth.exceptions as auth
        import requests

        try:
            answer = line.request(method, url, timeout=self._timeout, allow_redirects=False, **request)
        except requests.RequestException as error:
            raise broken(error, f"{doing} in {self.where}") from None
        except auth.GoogleAuthError as error:
            raise _unauthorised(error, f"{doing} in {self.where}") from None
        if answer.status_code not in accept or (answer.status_code == MISSING and _said(answer).startswith(NO_BUCKET)):
            raise _refused(answer, f"{doing} in {self.where}")
        return answer

    def close(self) -> None:
        """Hang up."""
        self._ours.close()
        self._bare.close()


def _credentials(key: str | None, where: str) -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from google.oauth2 import service_account

    if key is None:
        try:
            return google.auth.default(scopes=[SCOPE])[0]
        except DefaultCredentialsError:
            raise ConnectorError(f"{where}: {NO_CREDENTIALS}") from None
    try:
        return service_account.Credentials.from_service_account_info(json.loads(key), scopes=[SCOPE])
    except (ValueError, TypeError, KeyError, AttributeError, GoogleAuthError):
        raise DeclarationError(
            f"{where}: `credentials` is not the JSON key of a service account; make one in the Google Cloud console "
            "(IAM, Service accounts, Keys) and refer to the file as it was downloaded"
        ) from None


def broken(error: Exception, doing: str) -> ConnectorError:
    """A line that broke. The library's own text has the address in it, so it is not shown."""
    import requests

    if isinstance(error, requests.exceptions.SSLError):
        return ConnectorError(f"{doing}: TLS was not accepted; check `endpoint` and this machine's certificates")
    if isinstance(error, requests.exceptions.ProxyError):
        return ConnectorError(f"{doing}: the proxy (HTTPS_PROXY) refused or broke the line", retriable=True)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return ConnectorError(f"{doing}: no connection within `connect_timeout`", retriable=True)
    if isinstance(error, requests.exceptions.Timeout):
        return ConnectorError(f"{doing}: the server was silent for `idle_timeout`", retriable=True)
    return ConnectorError(f"{doing}: the line broke, or nothing listens there", retriable=True)


def _unauthorised(error: Exception, doing: str) -> ConnectorError:
    retriable = bool(getattr(error, "retryable", False)) or type(error).__name__ == "TransportError"
    said = "; ".join(str(each) for each in error.args if isinstance(each, str))
    what = "the account's credentials were not accepted" if not retriable else "Google's token service did not answer"
    return ConnectorError(f"{doing}: {what} ({_short(said)}); is the key still valid?", retriable=retriable)


def _refused(answer: Any, doing: str) -> ConnectorError:
    status = answer.status_code
    advice = ADVICE.get(status, "it is tried again" if status in RETRIABLE else "see what the server said")
    return ConnectorError(f"{doing}: {status} ({_said(answer)}); {advice}", retriable=status in RETRIABLE)


def _said(answer: Any) -> str:
    try:
        return _short(str(answer.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError):
        return _short(answer.text)


def _short(text: str) -> str:
    return re.sub(r"upload_id=[^&\s\"']+", "upload_id=***", " ".join(text.split()))[:300] or "no reason given"
