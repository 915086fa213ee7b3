"""`config/sources.yml`: where events come from, and how each kind is read."""

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from orchestration.settings.config import Config, Secret, TimeZone, Url, _named_elsewhere


def _column_of(name: object) -> object:
    return {"column": name} if isinstance(name, str | list) else name


def _names(column: object) -> object:
    return [column] if isinstance(column, str) else column


def _time_format(text: str) -> str:
    if not text.startswith("epoch_") and "%" not in text:
        raise ValueError(
            f"{text!r} is no way to write a time: give epoch_seconds, epoch_milliseconds, "
            "or a pattern such as '%d/%b/%Y:%H:%M:%S %z'"
        )
    if text.startswith("epoch_") and text not in ("epoch_seconds", "epoch_milliseconds"):
        raise ValueError(f"{text!r} is not known: give epoch_seconds or epoch_milliseconds")
    return text


class Column(Config):
    """Where a mapped field comes from: a column of the file, the first of several that has a value, or a constant.

    In JSON a column may be a path (`payload.action`); a key that itself contains the dots comes before a path.
    """

    column: Annotated[list[str], BeforeValidator(_names), Field(min_length=1)] | None = None
    value: str | None = None
    type: Literal["string", "integer", "number", "boolean", "json"] | None = Field(
        None, description="unless given: text in a CSV or a line, in JSON and Parquet what the value is"
    )
    slug: bool = Field(False, description="'Course module viewed' becomes 'course_module_viewed'")
    format: Annotated[str, AfterValidator(_time_format)] | None = Field(
        None, description="how a time is written that is not RFC 3339"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either a column or a value")
        return self


MappedColumn = Annotated[Column, BeforeValidator(_column_of)]


class Mapping(Config):
    """How the rows of a table become events. A bare name is a column, a list of names the first that has a value.

    A column that is not named here is kept in the properties under its own name.
    """

    event_type: MappedColumn
    occurred_at: MappedColumn
    event_id: MappedColumn | None = None
    user_id: MappedColumn | None = None
    session_id: MappedColumn | None = None
    received_at: MappedColumn | None = None
    properties: dict[str, MappedColumn] = {}

    @model_validator(mode="after")
    def _formats_are_of_times(self) -> Self:
        others = [self.event_type, self.event_id, self.user_id, self.session_id, *self.properties.values()]
        if any(column and column.format for column in others):
            raise ValueError("only occurred_at and received_at take a format: it says how a time is written")
        return self


def _encoding(name: str) -> str:
    try:
        is_one_byte_each = "a,\n".encode(name) == b"a,\n"
    except LookupError:
        raise ValueError(f"{name!r} is not an encoding that Python knows, such as cp1252 or latin-1") from None
    if not is_one_byte_each:
        raise ValueError(f"{name!r} is not needed: a file in UTF-16 is known by its byte-order mark")
    return name


def _line_pattern(text: str) -> str:
    try:
        names = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from None
    if not names:
        raise ValueError("names no group: write (?P<name>…) around what is a column")
    return text


Overlap = Annotated[
    Annotated[int, Field(ge=0)] | timedelta, Field(description="PT1H for a time, 1000 for a number: see docs/events.md")
]


class Postgres(Config):
    """A table or view of a PostgreSQL, read in the order of a cursor."""

    url: Url = Field(description="postgresql://${USER}:${PASSWORD}@host/name, or ${ORDERS_DB_URL}")
    table: str = Field(description="with its schema, as shop.orders")
    cursor: str = Field(description="a column that grows from row to row: a time or a number")
    key: list[str] = Field(min_length=1, description="the columns that tell apart rows of one cursor value")
    overlap: Overlap = Field(timedelta(hours=1), description="how far behind the cursor rows may still be committed")


class Header(Config):
    """Authentication by a header of every request."""

    name: str
    value: Secret


class Basic(Config):
    """Authentication by a user and a password."""

    user: str
    password: Secret


class OAuth2(Config):
    """Authentication by access tokens that expire: of a client, or with `refresh_token` on behalf of a person."""

    token_url: Url
    client_id: str
    client_secret: Secret | None = None
    refresh_token: Secret | None = None
    scope: str | None = None

    @model_validator(mode="after")
    def _has_a_grant(self) -> Self:
        if not (self.client_secret or self.refresh_token):
            raise ValueError("give a client_secret, a refresh_token, or both")
        return self


class Offset(Config):
    """Pages by the number of records before them."""

    offset: str = "offset"
    limit: str = "limit"
    size: int = Field(100, ge=2)


class PageNumber(Config):
    """Pages by their number."""

    page: str = "page"
    first: int = 1
    limit: str = "per_page"
    size: int = Field(100, ge=2)


class NextLink(Config):
    """Pages that name the next one: its address, or with `parameter` a token that is asked for."""

    next: str = Field(description="where it stands in the answer, as links.next; `Link` is the header of that name")
    parameter: str | None = None


class HttpCursor(Config):
    """What grows from record to record, and the parameter that asks for those from there on."""

    field: str = Field(description="where it stands in a record: a time as RFC 3339, or a number")
    parameter: str
    overlap: Overlap = timedelta(minutes=1)


class Http(Config):
    """Pages of JSON from an HTTP API."""

    url: Url
    records: str = Field("", description="where the list stands in the answer, as data.items; none: it is the answer")
    parameters: dict[str, str] = {}
    headers: list[Header] = []
    auth: (
        Annotated[
            Annotated[Basic, Tag("basic")] | Annotated[OAuth2, Tag("oauth2")],
            Discriminator(lambda given: "oauth2" if "token_url" in given else "basic"),
        ]
        | None
    ) = None
    pages: Annotated[
        Annotated[Offset, Tag("offset")] | Annotated[PageNumber, Tag("page")] | Annotated[NextLink, Tag("next")],
        Discriminator(lambda given: next((name for name in ("next", "page") if name in given), "offset")),
    ] = Offset()
    cursor: HttpCursor | None = Field(None, description="none: every page is read each time")
    requests_per_second: float = Field(5, gt=0, le=1000)


class Redis(Config):
    """A Redis stream, read by a consumer group."""

    url: Url
    stream: str
    group: str = "tidemark"


class Kafka(Config):
    """The partitions of a Kafka topic."""

    servers: Url = Field(description="host:port, separated by commas")
    topic: str
    options: dict[str, str] = Field({}, description="of librdkafka, as `sasl.password: ${KAFKA_PASSWORD}`")

    @model_validator(mode="after")
    def _without_secrets(self) -> Self:
        for name, value in self.options.items():
            if re.search(r"password|secret|[.]pem$", name):
                _named_elsewhere(value)
        return self


def _inner_pattern(text: str) -> str:
    if text.startswith("/") or ".." in text.split("/"):
        raise ValueError(f"the pattern {text!r} leads out of the folder")
    return text


KINDS = ("path", "postgres", "http", "redis", "kafka")


class Source(Config):
    """One source of events in `config/sources.yml`: at most one of `KINDS` says where they stand."""

    description: str = ""
    format: Literal[
        *("native", "segment", "xapi", "caliper", "cloudevents", "openedx"), *("csv", "json", "parquet", "lines")
    ] = "native"
    path: Url | None = Field(None, description="a watched folder, relative to TIDEMARK_HOME, or s3://bucket/prefix")
    pattern: Annotated[str, AfterValidator(_inner_pattern)] = "*"
    storage: dict[str, str] = Field({}, description="for a URL: options of its file system, as fsspec names them")
    postgres: Postgres | None = None
    http: Http | None = None
    redis: Redis | None = None
    kafka: Kafka | None = None
    every: timedelta | None = Field(
        None, ge=timedelta(seconds=1), description="how often it is read; none: with the hourly refresh"
    )
    timezone: TimeZone | None = Field(None, description="the zone of times that carry no offset")
    user_id: Literal["required", "optional"] = "required"
    contract: Literal["open", "strict"] = Field("open", description="whether unknown event types are accepted")
    undeclared: Literal["mask", "drop", "report"] = Field(
        "report",
        description="of text fields whose values look personal and that the contract does not name",
    )
    allowed_lateness: timedelta = Field(
        timedelta(hours=1), description="how late its events may be and still be on time"
    )
    mapping: Mapping | None = Field(None, description="csv, json, parquet, lines: which column is what")
    delimiter: str | None = Field(None, min_length=1, max_length=1, description="csv: what stands between columns")
    encoding: Annotated[str, AfterValidator(_encoding)] = Field("utf-8", description="csv, lines: of the text")
    line: Annotated[str, AfterValidator(_line_pattern)] | None = Field(
        None, description="lines: a regular expression for the whole line, whose named groups are the columns"
    )

    @model_validator(mode="after")
    def _as_its_format_needs(self) -> Self:
        needs = {"mapping": ("csv", "json", "parquet", "lines"), "line": ("lines",)}
        for name, formats in needs.items():
            if (self.format in formats) != (getattr(self, name) is not None):
                listed = " or ".join([", ".join(formats[:-1]), formats[-1]] if formats[1:] else formats)
                raise ValueError(f"a source of format {listed} needs a {name}, and no other format takes one")
        takes = {"delimiter": ("csv",), "encoding": ("csv", "lines")}
        for name, formats in takes.items():
            if name in self.model_fields_set and self.format not in formats:
                raise ValueError(f"only a source of format {' or '.join(formats)} takes {name}")
        return self

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        kinds = [kind for kind in KINDS if getattr(self, kind)]
        if len(kinds) > 1:
            raise ValueError(f"it has {' and '.join(kinds)}: a source is of one kind")
        if self.every and not kinds:
            raise ValueError(f"`every` needs something to read: one of {', '.join(KINDS)}")
        if kinds not in ([], ["path"]) and self.format in ("csv", "parquet", "lines"):
            raise ValueError(f"records of {kinds[0]} are JSON, not {self.format}: give the format `json` and a mapping")
        if self.is_reread and self.mapping and not self.mapping.event_id:
            raise ValueError(f"records of {kinds[0]} are read again where they overlap: name their event_id")
        return self

    @property
    def kind(self) -> str | None:
        """One of `KINDS`, or None for a source that only takes the files it is given."""
        return next((kind for kind in KINDS if getattr(self, kind)), None)

    @property
    def is_fast(self) -> bool:
        """Whether it is read in the fast lane, being read more often than once a minute."""
        return self.every is not None and self.every < timedelta(minutes=1)

    @property
    def is_reread(self) -> bool:
        """Whether a record may come again in other company, so that only an id of its own tells that it is the same."""
        return self.kind in ("postgres", "http")


SourceName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]


class Sources(Config):
    """`config/sources.yml`."""

    sources: dict[SourceName, Source]
