"""Typed settings from the environment, and the models of `config/*.yml`. Nothing here connects or computes."""

import os
import re
import secrets
from contextlib import suppress
from datetime import time, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.errors import TidemarkError

ROOT = Path(__file__).resolve().parent.parent
Model = TypeVar("Model", bound=BaseModel)
_LOADER = yaml.CSafeLoader  # ten times as fast as the one in Python


class Settings(BaseSettings):
    """The environment: where the database, the state and the configuration are."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_file=ROOT / ".env", extra="ignore")

    database_url: str | None = None
    home: Path = ROOT / ".tidemark"
    config: Path = ROOT / "config"
    smtp_url: str | None = None
    mail_from: str = "Tidemark <tidemark@localhost>"
    public_url: str = "http://127.0.0.1:3000"
    answers_url: str = "http://127.0.0.1:3001"
    secret_key: SecretStr | None = None

    @property
    def key(self) -> bytes:
        """The key of pseudonyms and signatures: `TIDEMARK_SECRET_KEY`, or one generated once into the home."""
        if self.secret_key:
            return self.secret_key.get_secret_value().encode()
        path = self.directory(".") / "secret.key"
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            with suppress(FileExistsError):  # another process was first: its key is the key
                os.link(fresh, path)
            fresh.unlink()
        return path.read_bytes()

    def directory(self, name: str) -> Path:
        """A folder under the home, made when first asked for."""
        path = self.home.resolve() / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def settings() -> Settings:
    """The settings of this process, read afresh so that tests and commands can change the environment."""
    return Settings()


_zones = cache(available_timezones)  # it looks through a folder of hundreds of files


def _known_zone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin or UTC")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]


class Config(BaseModel):
    """A part of a configuration file: unknown keys are mistakes, and are said."""

    model_config = ConfigDict(extra="forbid")


class Tenant(Config):
    """`config/tenant.yml`: whose days, money and people these are."""

    name: str = Field(description="shown at the head of reports")
    timezone: TimeZone = Field("UTC", description="a day is a day here")
    currency: Currency = Field("EUR", description="the currency of totals")
    reporting_limits: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(
        {}, description="by currency, from which amount a transaction has to be reported"
    )
    near_limit_rate: Decimal = Field(Decimal("0.1"), gt=0, lt=1, description="how far below a limit is near it")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


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


_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def _named_elsewhere(text: str) -> str:
    if not _REFERENCE.search(text):
        raise ValueError("a secret does not stand in this file: write ${NAME}, and set NAME in the environment or .env")
    return text


def _without_password(text: str) -> str:
    if re.search(r"://[^/@]*:[^/@]+@", _REFERENCE.sub("", text)):
        raise ValueError("a password does not stand in this file: write ${NAME}, and set NAME in the environment")
    return text


# Texts in which ${NAME} stands for a variable of the environment, until `filled` puts in what it holds.
Secret = Annotated[str, AfterValidator(_named_elsewhere)]
Url = Annotated[str, AfterValidator(_without_password)]
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


def _known_schema(schema: dict[str, Any]) -> dict[str, Any]:
    from jsonschema_rs import Draft202012Validator, ValidationError

    try:
        Draft202012Validator(schema, offline=True)
    except ValidationError as error:
        problem = " ".join(error.message.split())
        raise PydanticCustomError("schema", "{problem}", {"problem": problem, "path": error.instance_path}) from error
    return schema


JsonSchema = Annotated[dict[str, Any], AfterValidator(_known_schema)]
Handling = Literal["pseudonym", "mask", "drop"]


class Contract(Config):
    """`config/contract.yml`: what events may say, and which of it is personal."""

    personal: dict[Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")], Handling] = Field(
        description="a name, wherever it stands, or the end of a path such as traits.name, and how it is stored"
    )
    types: dict[str, Any] = Field({}, description="parts of schemas, for the anchors of YAML to refer to")
    events: dict[str, JsonSchema] = Field(description="by event type, the JSON Schema (2020-12) of its properties")


Address = Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$", description="such as ops@example.com")]
RuleName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class WebhookChannel(Config):
    """Standard Webhooks: signed JSON to an address. The first secret signs now, the others until they are gone."""

    kind: Literal["webhook"]
    url: Url
    secrets: list[Secret] = Field(min_length=1, description="as ${NAME}: whsec_ and base64; several while one rotates")
    allow_private: bool = Field(False, description="whether it may stand in a private network")


class SlackChannel(Config):
    """An incoming webhook of Slack, or of what speaks its language."""

    kind: Literal["slack"]
    url: Secret
    allow_private: bool = False


class PagerDutyChannel(Config):
    """Events of PagerDuty, version 2."""

    kind: Literal["pagerduty"]
    routing_key: Secret
    url: Url = "https://events.pagerduty.com/v2/enqueue"
    allow_private: bool = False


class AlertmanagerChannel(Config):
    """The payload that Alertmanager sends to its webhooks, version 4, for whatever already takes it."""

    kind: Literal["alertmanager"]
    url: Url
    allow_private: bool = False


class AppriseChannel(Config):
    """Text messages and whatever else apprise knows an address for."""

    kind: Literal["apprise"]
    url: Secret


Channel = Annotated[
    WebhookChannel | SlackChannel | PagerDutyChannel | AlertmanagerChannel | AppriseChannel,
    Field(discriminator="kind"),
]


def _clock(text: object) -> object:
    if isinstance(text, int):  # YAML reads 22:00 as a number of base 60
        return f"{text // 60:02}:{text % 60:02}"
    return text


ClockTime = Annotated[time, BeforeValidator(_clock)]


class QuietHours(Config):
    """Hours of the clock in which nothing is sent but what is critical. They may span midnight."""

    start: ClockTime = Field(alias="from")
    end: ClockTime = Field(alias="to")
    timezone: TimeZone | None = Field(None, description="the tenant's, unless given")


class EscalationStep(Config):
    """Who is told when nobody has acknowledged an incident for so long after it was told."""

    after: timedelta = Field(gt=timedelta(0))
    recipients: list[Address] = []
    channels: list[str] = []

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if not (self.recipients or self.channels):
            raise ValueError("an escalation step needs `recipients`, `channels` or both")
        return self


class Rule(Config):
    """What every rule of `config/alerts.yml` says."""

    description: str = ""
    severity: Literal["info", "warning", "critical"] = "warning"
    owner: str = Field("", description="who mends it")
    runbook: Annotated[str, Field(pattern="^https?://")] | None = None
    recipients: list[Address] = []
    channels: list[str] = []
    quiet_hours: QuietHours | Literal["none"] | None = Field(None, description="those of the file, unless given")
    group: Literal["rule", "incident"] = Field("rule", description="what shares a message when it opens at one time")
    escalation: list[EscalationStep] = []
    consecutive: int = Field(1, alias="for", ge=1, description="consecutive breaching steps before an incident opens")
    clear: int = Field(2, ge=1, description="consecutive good steps before it resolves")

    @model_validator(mode="after")
    def _tells_somebody(self) -> Self:
        if not (self.recipients or self.channels):
            raise ValueError("a rule needs `recipients`, `channels` or both")
        return self

    @property
    def is_about_data(self) -> bool:
        """Whether it says that data are missing or wrong, so that rules about what they mean have to wait."""
        return False


class MetricRule(Rule):
    """A rule that walks over the steps of a metric."""

    metric: str
    segment: str = Field(
        "all", pattern="^(all|[a-z][a-z0-9_]*=.+)$", description="all, dimension=value, or dimension=* for every value"
    )

    @property
    def step(self) -> Literal["minute", "hour", "day"]:
        """How far apart the values are that it looks at."""
        return getattr(self, "grain", "hour")


Grain = Literal["minute", "hour", "day"]
Direction = Literal["up", "down", "both"]


class ThresholdRule(MetricRule):
    """The metric is above or below a fixed value."""

    kind: Literal["threshold"]
    grain: Grain = "hour"
    above: float | None = Field(None, allow_inf_nan=False)
    below: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a threshold rule needs `above`, `below` or both")
        return self


class ChangeRule(MetricRule):
    """The metric is so much more or less than the step before, or than the same step a week before."""

    kind: Literal["change"]
    grain: Literal["hour", "day"] = "day"
    against: Literal["previous", "same_weekday"] = "same_weekday"
    rise: float | None = Field(None, gt=0, description="0.5 is half as much again")
    fall: float | None = Field(None, gt=0, le=1, description="0.5 is half")
    least: float = Field(0, ge=0, description="neither value is above it: too little to compare")

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.rise is None and self.fall is None:
            raise ValueError("a change rule needs `rise`, `fall` or both")
        return self


class AnomalyRule(MetricRule):
    """The metric is far from what its own past lets expect."""

    kind: Literal["anomaly"]
    min_effect: float = Field(0.3, gt=0, description="the least relative distance from the expected value")
    direction: Direction = Field("both", description="on which side of it an anomaly counts")


class ForecastRule(MetricRule):
    """A day lies outside the 95 % band that was forecast for it before it began."""

    kind: Literal["forecast"]
    grain: Literal["day"] = "day"
    min_effect: float = Field(0.1, gt=0, description="the least relative distance from the forecast")
    direction: Direction = "both"


class ObjectiveRule(MetricRule):
    """An error budget burns too fast, over a long window and still over a short one.

    Burn rate: the share of bad things, over the share that the objective allows; 1 uses the budget up exactly.
    """

    kind: Literal["objective"]
    grain: Literal["minute", "hour"] = "minute"
    metric: str = Field("error_rate", description="a share of bad ones")
    of: str = Field("requests", description="the metric that counts what it is a share of")
    objective: float = Field(gt=0, lt=1, description="the share that has to be good, such as 0.999")
    long: timedelta = Field(timedelta(hours=1), gt=timedelta(0))
    short: timedelta = Field(timedelta(minutes=5), gt=timedelta(0))
    burn: float = Field(gt=0)

    @model_validator(mode="after")
    def _windows(self) -> Self:
        if self.short >= self.long:
            raise ValueError("`short` has to be shorter than `long`")
        if self.grain == "minute" and self.long > timedelta(days=1):
            raise ValueError("minutes are kept for two days: give `grain: hour` for a window of more than one")
        return self


class StandingRule(Rule):
    """A rule about what is so now, and not about steps of time: each evaluation is a step."""

    clear: int = Field(1, ge=1, description="consecutive good evaluations before it resolves")


class DataRule(StandingRule):
    """A standing rule about the data themselves."""

    @property
    def is_about_data(self) -> bool:
        return True


class GateRule(DataRule):
    """A gate fails: a table is held back."""

    kind: Literal["gate"]


class SchemaRule(StandingRule):
    """The events of a type are not made as they were: a field has another type, or is gone."""

    kind: Literal["schema"]


class FreshnessRule(DataRule):
    """A table has not taken in what was loaded so long ago."""

    kind: Literal["freshness"]
    table: str = Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$", description="with its schema, as marts.metric_hourly")
    within: timedelta = Field(gt=timedelta(0))


class AbsenceRule(DataRule):
    """No events come: none at all, or none of a source while others go on."""

    kind: Literal["absence"]
    source: str = Field("*", description="one of config/sources.yml; *: each of those that ever delivered")
    late: timedelta = Field(timedelta(hours=3), gt=timedelta(0), description="behind the newest event of all sources")
    silent: timedelta = Field(timedelta(days=1), gt=timedelta(0), description="by the clock, since anything was loaded")


class RowsRule(StandingRule):
    """A view of `api` has more or fewer rows than it should."""

    kind: Literal["rows"]
    view: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="its name in api, such as churn_scores")
    where: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], str | int | bool] = {}
    above: int | None = Field(None, ge=0)
    below: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a rule that counts rows needs `above`, `below` or both")
        return self


class VolumeRule(Rule):
    """Sessions have far fewer events than at this hour of the past days: records are lost on the way."""

    kind: Literal["volume"]
    below: float = Field(0.65, gt=0, lt=1, description="of the usual number of events in a session")
    least: int = Field(20, ge=1, description="sessions that an hour must have to be judged")

    @property
    def is_about_data(self) -> bool:
        return True


AnyRule = Annotated[
    ThresholdRule | ChangeRule | AnomalyRule | ForecastRule | ObjectiveRule | GateRule | SchemaRule | FreshnessRule
    | AbsenceRule | RowsRule | VolumeRule,
    Field(discriminator="kind"),
]  # fmt: skip


class Alerts(Config):
    """`config/alerts.yml`."""

    notify_within: timedelta = Field(
        timedelta(hours=48), ge=timedelta(0), description="older breaches (a backfill) are recorded and not mailed"
    )
    reopen_within: timedelta = Field(
        timedelta(hours=6), ge=timedelta(0), description="a breach so soon after the last one is the same incident"
    )
    messages_per_hour: int = Field(20, ge=2, description="to one receiver; what is more waits and is told together")
    quiet_hours: QuietHours | None = None
    channels: dict[RuleName, Channel] = {}
    rules: dict[RuleName, AnyRule]

    @model_validator(mode="after")
    def _names_known_channels(self) -> Self:
        for name, rule in self.rules.items():
            places = [(("rules", name), rule.channels)]
            places += [(("rules", name, "escalation", n), step.channels) for n, step in enumerate(rule.escalation)]
            for path, given in places:
                for channel in given:
                    if channel not in self.channels:
                        raise PydanticCustomError(
                            "channel",
                            "there is no channel {channel}: name one of `channels`",
                            {"channel": repr(channel), "path": (*path, "channels")},
                        )
        return self


def _known_cron(text: str) -> str:
    fields = text.split()
    if len(fields) != 5 or not all(re.fullmatch(r"[\dA-Za-z*/,-]+", field) for field in fields):
        raise ValueError(f"{text!r} is not a cron schedule of five fields, such as '0 7 * * 1' for Mondays at 07:00")
    return text


Cron = Annotated[str, AfterValidator(_known_cron)]
ReportName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Report(Config):
    """One report of `config/reports.yml`."""

    description: str = ""
    template: ReportName
    cron: Cron = Field(description="when it is sent, in its time zone")
    timezone: TimeZone | None = Field(None, description="the tenant's, unless given")
    recipients: list[Address] = Field(min_length=1)


class Reports(Config):
    """`config/reports.yml`."""

    reports: dict[ReportName, Report]


def _known_period(text: str) -> str:
    if not re.fullmatch(r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?", text) or not re.search("[1-9]", text):
        raise ValueError(f"{text!r} is not a period of years, months, weeks or days, such as P6M or P2W")
    return text


Period = Annotated[str, AfterValidator(_known_period)]


class Kept(Config):
    """How long the rows of a table are kept, and what becomes of them then."""

    keep: Period = Field(description="up to this long before the newest complete event time")
    then: Literal["archive", "drop"] = Field(description="archive: a Parquet file, from which it can be restored")


class Retention(Config):
    """`config/retention.yml`."""

    tables: dict[Literal["raw.events"], Kept]
    runs: Period = Field(description="how long Dagster's records of runs are kept")


EventType = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:/ -]+$")]
PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
ConfiguredName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]*$")]


class Step(Config):
    """Events of a type whose properties have certain values."""

    event_type: EventType
    where: dict[PropertyName, str | int | float | bool] = {}


class Funnel(Config):
    """One funnel of `config/funnels.yml`."""

    description: str = ""
    within: timedelta = Field(gt=timedelta(0), description="how long after the entry its steps count")
    steps: list[Step] = Field(min_length=2)


class Funnels(Config):
    """`config/funnels.yml`."""

    funnels: dict[ConfiguredName, Funnel]


class Objective(Config):
    """What an endpoint promises, in `config/objectives.yml`."""

    availability: float = Field(gt=0, lt=1, description="the share of requests without an error")
    latency_p95_ms: float = Field(gt=0)
    requests_per_minute: float = Field(gt=0, description="what it is built for")


class Objectives(Config):
    """`config/objectives.yml`: by endpoint, with `*` for all others."""

    objectives: dict[Annotated[str, Field(pattern="^[^'\\\\]+$")], Objective]

    @model_validator(mode="after")
    def _speaks_of_all(self) -> Self:
        if "*" not in self.objectives:
            raise ValueError("give an objective for `*`, which is every endpoint that is not named")
        return self


class Goal(Step):
    """What an experiment hopes for, and the property that it is worth."""

    value: PropertyName | None = None


class Experiment(Config):
    """One experiment of `config/experiments.yml`."""

    description: str = ""
    variants: dict[ConfiguredName, Annotated[float, Field(gt=0)]] = Field(min_length=2, description="weights")
    goals: dict[ConfiguredName, Goal] = Field(min_length=1)
    windows: list[Annotated[timedelta, Field(gt=timedelta(0))]] = Field(min_length=1)


class Experiments(Config):
    """`config/experiments.yml`."""

    experiments: dict[ConfiguredName, Experiment]


def funnels() -> dict[str, Funnel]:
    return _load("funnels.yml", Funnels).funnels


def objectives() -> dict[str, Objective]:
    return _load("objectives.yml", Objectives).objectives


def experiments() -> dict[str, Experiment]:
    return _load("experiments.yml", Experiments).experiments


def tenant() -> Tenant:
    return _load("tenant.yml", Tenant)


def sources() -> dict[str, Source]:
    return _load("sources.yml", Sources).sources


def contract() -> Contract:
    """The contract, which is the shipped one unless there is another: what is personal is so in any configuration."""
    own = settings().config
    return _load("contract.yml", Contract, own if (own / "contract.yml").exists() else ROOT / "config")


def alerts() -> Alerts:
    return _load("alerts.yml", Alerts)


def reports() -> dict[str, Report]:
    return _load("reports.yml", Reports).reports


def retention() -> Retention:
    return _load("retention.yml", Retention)


def place(name: str, *location: int | str) -> str:
    """Where a value stands in a configuration file, as path:line, for an error that only the warehouse can tell."""
    path = settings().config / name
    tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return f"{path}:{_line_of(tree, location)}"


def filled(text: str, name: str = "sources.yml") -> str:
    """A text of a configuration file with what the environment, or else .env, holds in place of each ${NAME}.

    Raises TidemarkError with file and line for a variable that is not set.
    """
    known = dotenv_values(ROOT / ".env") | os.environ

    def value(reference: re.Match) -> str:
        if found := known.get(reference[1]):
            return found
        path = settings().config / name
        lines = path.read_text(encoding="utf-8").splitlines()
        line = next((number for number, line in enumerate(lines, 1) if reference[0] in line), 1)
        raise TidemarkError(
            f"{path}:{line} needs {reference[1]}, which is not set: set it in the environment or in .env."
        )

    return _REFERENCE.sub(value, text)


def _load(name: str, model: type[Model], folder: Path | None = None) -> Model:
    """Read and check one configuration file. Raises TidemarkError with file and line."""
    path = (folder or settings().config) / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TidemarkError(
            f"{path} does not exist: copy it from the repository, or point TIDEMARK_CONFIG at its folder."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TidemarkError(f"{path} cannot be read: {error}.") from error
    try:
        tree = yaml.compose(text, Loader=_LOADER)
        return model.model_validate(yaml.load(text, Loader=_LOADER) or {})
    except yaml.MarkedYAMLError as error:
        line = min(error.problem_mark.line + 1, len(text.splitlines())) if error.problem_mark else 1  # not past its end
        raise TidemarkError(f"{path}:{line} is not valid YAML: {error.problem}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        location = (*first["loc"], *first.get("ctx", {}).get("path", ()))
        where = ".".join(str(part) for part in location)
        message = first["msg"].removeprefix("Value error, ")
        raise TidemarkError(f"{path}:{_line_of(tree, location)} {where}: {message}.") from error
    except (yaml.YAMLError, ValueError) as error:  # a character or a date that YAML does not know
        raise TidemarkError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error


def _line_of(node: Any, location: tuple[int | str, ...]) -> int:
    """The line of the deepest node that a validation error's location leads to."""
    line = 1
    for part in location:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                continue  # a key that is missing, or the kind that pydantic names in a choice of models
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
