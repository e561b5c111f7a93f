"""Speaking to Azure Blob Storage: which container and by what right, time limits, and refusals as sentences.

Which requests are made, and in which order, is in azure.py. Of what the server says only its error code is shown: the
library's own texts have addresses with a SAS in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from resources.stores.endpoints import refuse_plaintext
from spec.errors import ConnectorError, DeclarationError

RETRIABLE = frozenset({408, 429, 500, 502, 503, 504})
BUSY = frozenset({"ContainerBeingDeleted", "OperationTimedOut", "ServerBusy", "InternalError"})
RIGHTS = "it needs read, create, write and delete (`sp=rcwd`) on the container"
NOT_ACCEPTED = "the key or SAS was not accepted: it is not for this account, has expired or was altered"
LOGIN = frozenset({"AuthenticationFailed", "AuthorizationFailure"})
"""What the service says of a wrong signature; Azurite says the second, which there also stands for firewalls."""
ADVICE = {
    "AuthenticationFailed": f"{NOT_ACCEPTED}; ask for a new one",
    "AuthorizationPermissionMismatch": f"the SAS does not allow this: {RIGHTS}",
    "AuthorizationResourceTypeMismatch": "the SAS is not for single blobs: it needs `srt=co`, or to be a container's",
    "AuthorizationServiceMismatch": "the SAS is not for blobs: it needs `ss=b`, or to be a container's",
    "AuthorizationProtocolMismatch": "the SAS allows https only",
    "AuthorizationSourceIPMismatch": "the SAS does not allow this machine's address",
    "AuthorizationFailure": f"{NOT_ACCEPTED}; or a firewall of the account keeps this machine out",
    "KeyBasedAuthenticationNotPermitted": "the account's keys are turned off: use a SAS that was made with Entra ID",
    "PublicAccessNotPermitted": "nothing was given to log in with",
    "NoAuthenticationInformation": "nothing was given to log in with",
    "ContainerNotFound": "there is no such container: check `container`, and make it first",
    "ResourceNotFound": "there is no such container or account, or the SAS is not for it",
    "InvalidBlobOrBlock": "another program has an unfinished upload of this name; let it end, or take another path",
    "LeaseIdMissing": "somebody holds a lease on it; break the lease, or take another path",
    "BlobImmutableDueToPolicy": "a retention policy forbids it; take another path",
    "SnapshotsPresent": "it has snapshots; remove them, or take another path",
    "AccountIsDisabled": "the account is turned off",
    "Md5Mismatch": "the bytes arrived damaged; run it again",
}


def connected(way: dict[str, str], container: str | None, settings: dict[str, Any], *, plaintext: bool) -> Any:
    """The container's client, by the one way that is given: `connection_string`, `container_url`, or `url` with `sas`
    or `key`. Raises DeclarationError where a secret is not what it should be, without showing it.
    """
    from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
    from azure.storage.blob import ContainerClient

    try:
        if "connection_string" in way:
            client = ContainerClient.from_connection_string(way["connection_string"], container or "", **settings)
        elif "container_url" in way:
            client = ContainerClient.from_container_url(way["container_url"], **settings)
        else:
            sas, key = way.get("sas", "").lstrip("?"), way.get("key", "")
            right = AzureSasCredential(sas) if sas else AzureNamedKeyCredential(account_of(way["url"]), key)
            client = ContainerClient(way["url"], container or "", credential=right, **settings)
        refuse_plaintext(bare(client.url), allowed=plaintext)
    except ValueError as error:
        said = f": {error}" if "plain text" in str(error) else ""
        raise DeclarationError(f"the value of `{next(iter(way))}` is not what Azure calls one{said}") from None
    return client


def bare(url: str) -> str:
    """An address without its query, where a SAS would be."""
    return url.partition("?")[0]


def account_of(url: str) -> str:
    """The account's name: the first label of its host, or the first folder where an emulator is asked."""
    parts = urlsplit(url)
    return parts.path.strip("/").partition("/")[0] or (parts.hostname or "").partition(".")[0]


def expiry(secret: str) -> str | None:
    """When a SAS ends, as it is written in it."""
    query = secret.partition("?")[2] if "://" in secret else secret.lstrip("?").rpartition("SharedAccessSignature=")[2]
    return parse_qs(query.partition(";")[0]).get("se", [None])[0]


@contextmanager
def translated(doing: str, ends: str | None = None) -> Iterator[None]:
    """Turn the library's errors into ConnectorError. `ends`: when the SAS does, for the message."""
    from azure.core import exceptions as azure
    from azure.storage.blob._shared.authentication import AzureSigningError

    try:
        yield
    except AzureSigningError:
        raise DeclarationError(f"{doing}: the account's key is no base64 text; copy it again") from None
    except azure.HttpResponseError as error:
        raise refused(error, doing, ends) from None
    except azure.ServiceRequestError as error:
        raise _unreached(error, doing) from None
    except azure.AzureError:
        raise ConnectorError(f"{doing}: the line broke, or the server was silent too long", retriable=True) from None


def _unreached(error: Exception, doing: str) -> ConnectorError:
    text = str(error)
    if "CERTIFICATE" in text.upper() or "SSL" in text.upper():
        return ConnectorError(f"{doing}: TLS was not accepted; check the address and `ca_file`")
    return ConnectorError(f"{doing}: nothing answers there within `connect_timeout`", retriable=True)


def refused(error: Any, doing: str, ends: str | None = None) -> ConnectorError:
    """A refusal as a sentence: the step, the status, the server's code, and what to do."""
    code = code_of(error) or "no reason given"
    retriable = error.status_code in RETRIABLE or code in BUSY
    advice = ADVICE.get(code, "it is tried again" if retriable else "see what the server said")
    if code in LOGIN and ends:
        advice += f" (this SAS is valid until {ends})"
    return ConnectorError(f"{doing}: {error.status_code} {code}; {advice}", retriable=retriable)


def code_of(error: Any) -> str | None:
    """The server's error code, such as "BlobNotFound"."""
    code = getattr(error, "error_code", None) or (
        error.response.headers.get("x-ms-error-code") if error.response else None
    )
    return str(getattr(code, "value", code)) if code else None
