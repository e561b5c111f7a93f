"""The refusals of S3 and of the way to it as ConnectorError: whether trying again can help, and what to do, by code.

What a refusal means for a file is decided in s3.py, by its `code`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from resources.secrets import scrub
from spec.errors import ConnectorError

BUSY = "the endpoint is busy or in trouble"
CREDENTIALS = "check `access_key_id` and `secret_access_key`, or where the default chain found others"
RIGHTS = (
    "the user or role needs s3:PutObject, s3:GetObject, s3:AbortMultipartUpload, s3:DeleteObject on the prefix, and "
    "s3:ListBucket and s3:ListBucketMultipartUploads on the bucket (without s3:ListBucket, S3 says 403 of what is not "
    "there)"
)
EXPIRED = "the credentials have expired: renew them, or give `role_arn` so that they are renewed"
CLOCK = "the clock of this machine is wrong: set it, for instance by NTP"
TLS = "TLS was not accepted: give the endpoint's authority as `ca_file`, and its own name in `endpoint_url`"
REGION = "check `region`: the bucket is in another one"
ADVICE: Mapping[str, tuple[bool, str]] = {
    "AccessDenied": (False, RIGHTS),
    "403": (False, RIGHTS),
    "AccountProblem": (False, "the account cannot be used: see its owner"),
    "AuthorizationHeaderMalformed": (False, REGION),
    "PermanentRedirect": (False, REGION),
    "IllegalLocationConstraintException": (False, REGION),
    "301": (False, REGION),
    "BadDigest": (True, "a part arrived damaged and was refused: try again; if it stays so, look at the network"),
    "EntityTooSmall": (False, "the endpoint asks for larger parts: raise `part_size`"),
    "EntityTooLarge": (False, "the file is larger than the endpoint takes: lower the delivery's `part_size`"),
    "ExpiredToken": (False, EXPIRED),
    "ExpiredTokenException": (False, EXPIRED),
    "TokenRefreshRequired": (False, EXPIRED),
    "InvalidAccessKeyId": (False, CREDENTIALS),
    "InvalidClientTokenId": (False, CREDENTIALS),
    "InvalidToken": (False, "check `session_token`: it belongs to one pair of keys only"),
    "SignatureDoesNotMatch": (False, f"{CREDENTIALS}; a proxy that alters requests has the same effect"),
    "InvalidStorageClass": (False, "check `storage_class` against what the endpoint has"),
    "AccessControlListNotSupported": (False, "the bucket takes no ACL: leave `acl` out"),
    "KMS.NotFoundException": (False, "check `kms_key_id`"),
    "KMS.DisabledException": (False, "the key of `kms_key_id` is disabled"),
    "404": (False, "there is no such bucket: check `bucket`; it is never made by a delivery"),
    "NoSuchBucket": (False, "check `bucket`; it is never made by a delivery"),
    "NotImplemented": (False, "the endpoint lacks this: see `checksum`, `sse`, `tags` and `acl`"),
    "RequestTimeTooSkewed": (False, CLOCK),
    "ConditionalRequestConflict": (True, "something else was written there at the same moment"),
    "OperationAborted": (True, "something else is done with the bucket just now"),
    "RequestTimeout": (True, "the endpoint waited for bytes that did not come"),
    "SlowDown": (True, "the endpoint asks for fewer requests: lower `concurrency`"),
    "QuotaExceeded": (False, "make room there, or raise the quota"),
    "XMinioStorageFull": (True, "make room there"),
}
WORDS: Mapping[str, tuple[bool, str]] = {
    "SSLError": (False, TLS),
    "EndpointConnectionError": (True, "check `endpoint_url` or `region`, and the network"),
    "ConnectTimeoutError": (True, "nothing answered in `connect_timeout`: check `endpoint_url`, and the network"),
    "ProxyConnectionError": (True, "check `proxy`"),
    "IncompleteReadError": (True, "the line broke"),
    "MetadataRetrievalError": (True, "the machine's own role could not be asked for"),
    "NoCredentialsError": (False, "give `access_key_id` and `secret_access_key`, or `profile`, or a role to this host"),
    "ProfileNotFound": (False, "check `profile` against ~/.aws/config"),
    "ParamValidationError": (False, "check the connector's settings"),
    "NoRegionError": (False, "give `region`"),
}
"""What never reached the service, by the class of the client's error."""

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class Refusal(ConnectorError):
    """What the service answered: `code` is its own ("NoSuchUpload"), or the HTTP status where there is no other."""

    def __init__(self, message: str, code: str, *, retriable: bool) -> None:
        super().__init__(message, retriable=retriable)
        self.code = code


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what the client raises into ConnectorError; what the service itself said into Refusal."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as error:
        raise _refusal(doing, error.response) from None
    except BotoCoreError as error:
        retriable, advice = _words(error, isinstance(error, HTTPClientError))
        said = " ".join(scrub(str(error)).split())
        raise ConnectorError(f"{doing} failed: {said}{advice and '; ' + advice}", retriable=retriable) from None


def _words(error: Exception, by_line: bool) -> tuple[bool, str]:  # noqa: FBT001
    known = (WORDS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in WORDS)
    return next(known, (by_line, "the line broke or was silent for longer than `idle_timeout`" if by_line else ""))


def _refusal(doing: str, response: Mapping[str, Any]) -> Refusal:
    error, status = response.get("Error", {}), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(error.get("Code") or status)
    retriable, advice = ADVICE.get(code, (status in PASSING, BUSY if status in PASSING else ""))
    said = scrub(str(error.get("Message") or "")).strip().rstrip(".")
    told = f"{code} ({said})" if said else code
    return Refusal(f"{doing} failed: {told}{advice and '; ' + advice}", code, retriable=retriable)
