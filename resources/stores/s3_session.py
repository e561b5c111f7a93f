"""The way to a bucket: settings, credentials (keys, the default chain, a role that is assumed), one client for all.

What is done with files is in s3.py, what errors mean in s3_errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, model_validator

from resources.secrets import reveal_line
from resources.stores.base import Store
from resources.stores.s3_errors import translated
from resources.stores.s3_upload import Checksum
from spec.base import Misplaced, Size, size
from spec.errors import ConnectorError
from spec.secrets import Secret

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ENDPOINT = re.compile(r"https?://[^\s/@.][^\s/@]*(/\S*)?")
SMALLEST_PART = 5 << 20
TRIES = 3
"""How often the client itself sends a request; how often a step is taken is `attempts`."""
ROLE_SECONDS = 3600
"""For how long a role is assumed: the most that S3 gives to one that was reached by way of another."""


Rule = tuple[Callable[["Bucket"], bool], str, str]


class Bucket(Store):
    """A bucket, and as whom it is reached: keys, or `profile`, or the default chain; then `role_arn`, if given."""

    bucket: Annotated[str, Field(min_length=1)]
    prefix: str = Field(default="", description="what all names begin with: a folder, without / at either end")
    region: str | None = Field(default=None, description="of the default chain unless said")
    endpoint_url: str | None = Field(default=None, description="https://... of a service that is not AWS")
    allow_plaintext: bool = Field(default=False, description="whether an endpoint_url of http:// is allowed")
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    profile: str | None = Field(default=None, description="of ~/.aws/config")
    role_arn: str | None = Field(default=None, description="a role that is assumed")
    external_id: str | None = Field(default=None, description="what the role's owner asks for")
    addressing: Literal["auto", "path", "virtual"] = "auto"
    ca_file: str | None = Field(default=None, description="a file of certificates; those of this machine unless said")
    proxy: str | None = Field(default=None, description="http://proxy.internal:3128; the environment's unless said")
    connect_timeout: Annotated[int, Field(ge=1, description="seconds")] = 10
    idle_timeout: Annotated[int, Field(ge=1, description="seconds without a byte")] = 60
    sse: Literal["AES256", "aws:kms"] | None = Field(default=None, description="the bucket's own unless said")
    kms_key_id: str | None = Field(default=None, description="with `sse: aws:kms`; the account's own key unless said")
    storage_class: str | None = Field(default=None, description="such as STANDARD_IA")
    tags: dict[str, str] = Field(default_factory=dict, max_length=10)
    acl: Literal["bucket-owner-full-control"] | None = None
    checksum: Checksum = Field(default="crc32", description="md5 for services that know no other")
    concurrency: Annotated[int, Field(ge=1, le=32, description="parts on the way at once")] = 8
    part_size: Size = "16MiB"

    _client: Any = PrivateAttr(default=None)
    _credentials: Any = PrivateAttr(default=None)
    _since: datetime | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for wrong, setting, words in RULES:
            if wrong(self):
                raise Misplaced(words, setting)
        return self

    @property
    def loopback(self) -> bool:
        """Whether the endpoint is this machine."""
        return self.endpoint_url is not None and urlsplit(self.endpoint_url).hostname in LOOPBACK

    def _call(self, doing: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Ask the service. `doing` opens the message of what goes wrong. Raises ConnectorError, Refusal."""
        with translated(f"{doing} at {self.endpoint_url or 'S3'}"):
            answer: dict[str, Any] = getattr(self._opened(), operation)(Bucket=self.bucket, **parameters)
        return answer

    def _opened(self) -> Any:
        if self._client is None:
            self._client = self._made()
        return self._client

    def _made(self) -> Any:
        import boto3

        session = boto3.session.Session(profile_name=self.profile, region_name=self.region)
        core = session._session  # noqa: SLF001  (boto3 has no other way to credentials of a role)
        if self.access_key_id and self.secret_access_key:
            token = reveal_line(self.session_token) if self.session_token else None
            core.set_credentials(reveal_line(self.access_key_id), reveal_line(self.secret_access_key), token)
        if self.role_arn:
            core._credentials = self._assumed(core)  # noqa: SLF001
        self._credentials = core.get_credentials()
        region = core.get_config_variable("region") or (self.endpoint_url and "us-east-1") or None
        client = session.client("s3", endpoint_url=self.endpoint_url, region_name=region, **self._way())
        client.meta.events.register("after-call.s3", self._heard)
        return client

    def _assumed(self, core: Any) -> Any:
        """Credentials of the role, got when they are needed and again before they end."""
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        extra = {"RoleSessionName": "outgate", "DurationSeconds": ROLE_SECONDS}
        extra |= {"ExternalId": self.external_id} if self.external_id else {}
        source = core.get_credentials()
        if source is None:
            message = (
                f"assuming {self.role_arn!r} needs credentials of its own: give keys, `profile` or a role to this host"
            )
            raise ConnectorError(message)
        asked = partial(core.create_client, **self._way())
        fetcher = AssumeRoleCredentialFetcher(asked, source, self.role_arn, extra_args=extra)
        return DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)

    def _way(self) -> dict[str, Any]:
        """How the line is made, to S3 and to whoever gives credentials."""
        from botocore.config import Config

        style = "path" if self.addressing == "auto" and self.endpoint_url else self.addressing
        secure = self.endpoint_url is None or self.endpoint_url.startswith("https://")
        config = Config(
            signature_version="s3v4",
            connect_timeout=self.connect_timeout,
            read_timeout=self.idle_timeout,
            max_pool_connections=self.concurrency,
            proxies={"http": self.proxy, "https": self.proxy} if self.proxy else None,
            retries={"total_max_attempts": TRIES, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": style, "payload_signing_enabled": not (secure or self.loopback)},
            user_agent_extra="outgate",
        )
        return {"config": config, "verify": self.ca_file}

    def _heard(self, http_response: Any, **_: Any) -> None:
        """Remember when, by the server's clock, this worker first had an answer."""
        date = http_response.headers.get("date")
        if self._since is None and date:
            self._since = parsedate_to_datetime(date)

    def _refuse_longer(self, seconds: int) -> None:
        """Credentials that end sooner than a link would take it with them."""
        with translated(f"signing a link to s3://{self.bucket}"):
            self._opened()
            frozen = self._credentials.get_frozen_credentials() if self._credentials else None
        if frozen is None or not frozen.token:
            return
        ends = getattr(self._credentials, "_expiry_time", None)
        left = int((ends - datetime.now(UTC)).total_seconds()) if ends else 0
        if left < seconds:
            known = f"end in {left} s" if ends else "are temporary, and nothing says when they end"
            message = (
                f"a link to s3://{self.bucket} for {seconds} s cannot be given: the credentials that sign it {known}, "
                "and it ends with them; ask for a shorter one, or sign with the keys of a user"
            )
            raise ConnectorError(message)

    def close(self) -> None:
        """Give connections back. What this worker staged is remembered."""
        client, self._client, self._credentials = self._client, None, None
        if client is not None:
            client.close()


RULES: tuple[Rule, ...] = (
    (
        lambda it: (it.access_key_id is None) != (it.secret_access_key is None),
        "type",
        "`access_key_id` and `secret_access_key` belong together: give both, or none",
    ),
    (
        lambda it: it.session_token is not None and it.access_key_id is None,
        "session_token",
        "a session token needs the keys that came with it",
    ),
    (
        lambda it: it.profile is not None and it.access_key_id is not None,
        "profile",
        "give keys or a profile, not both",
    ),
    (
        lambda it: it.external_id is not None and it.role_arn is None,
        "external_id",
        "an external id belongs to a `role_arn`",
    ),
    (
        lambda it: it.endpoint_url is not None and not ENDPOINT.fullmatch(it.endpoint_url),
        "endpoint_url",
        "write https:// and the host",
    ),
    (
        lambda it: (it.endpoint_url or "").startswith("http://") and not it.loopback and not it.allow_plaintext,
        "endpoint_url",
        "http:// would send the bytes for anyone to read: write https://, or say `allow_plaintext: true`",
    ),
    (
        lambda it: "@" in (it.proxy or "") + (it.endpoint_url or ""),
        "proxy",
        "a password is never written down in a URL: use a proxy that asks for none",
    ),
    (
        lambda it: it.prefix != "" and bool({"", ".", ".."} & set(it.prefix.split("/"))),
        "prefix",
        "write folders with / between them and at neither end, such as in/outgate",
    ),
    (
        lambda it: it.kms_key_id is not None and it.sse != "aws:kms",
        "kms_key_id",
        "a key belongs to `sse: aws:kms`",
    ),
    (
        lambda it: size(it.part_size) < SMALLEST_PART,
        "part_size",
        "S3 takes no parts of less than 5 MiB: write 5MiB or more",
    ),
)
"""What settings must agree on: what is wrong, where to look, and the words."""
