"""Typed settings from the environment, and the models of `config/*.yml`. Nothing here connects or computes."""

import os
import re
import secrets
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from orchestration.errors import TidemarkError

ROOT = Path(__file__).resolve().parent.parent
Model = TypeVar("Model", bound=BaseModel)


class Settings(BaseSettings):
    """The environment: where the database, the state and the configuration are."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_file=ROOT / ".env", extra="ignore")

    database_url: str | None = None
    home: Path = ROOT / ".tidemark"
    config: Path = ROOT / "config"
    smtp_url: str | None = None
    mail_from: str = "Tidemark <tidemark@localhost>"
    public_url: str = "http://127.0.0.1:3000"
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


def _known_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"{name!r} is not a time zone of the IANA database, such as Europe/Berlin or UTC")
    return name


TimeZone = Annotated[str, AfterValidator(_known_zone)]


class Config(BaseModel):
    """A part of a configuration file: unknown keys are mistakes, and are said."""

    model_config = ConfigDict(extra="forbid")


class Tenant(Config):
    """`config/tenant.yml`: whose days, money and people these are."""

    name: str = Field(description="shown at the head of reports")
    timezone: TimeZone = Field("UTC", description="a day is a day here")
    currency: str = Field("EUR", pattern="^[A-Z]{3}$", description="the currency of totals")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


def _column_of(name: object) -> object:
    return {"column": name} if isinstance(name, str) else name


class Column(Config):
    """Where a mapped field comes from: a column of the file, or one value for all records."""

    column: str | None = None
    value: str | None = None
    type: Literal["string", "integer", "number", "boolean"] = "string"
    slug: bool = Field(False, description="'Course module viewed' becomes 'course_module_viewed'")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.column is None) == (self.value is None):
            raise ValueError("give either a column or a value")
        return self


MappedColumn = Annotated[Column, BeforeValidator(_column_of)]


class Mapping(Config):
    """How the rows of a table become events. A bare name is a column taken as text.

    A column that is not named here is kept in the properties under its own name, as text.
    """

    event_type: MappedColumn
    occurred_at: MappedColumn
    event_id: MappedColumn | None = None
    user_id: MappedColumn | None = None
    session_id: MappedColumn | None = None
    received_at: MappedColumn | None = None
    properties: dict[str, MappedColumn] = {}


class Source(Config):
    """One source of events in `config/sources.yml`."""

    description: str = ""
    format: Literal["native", "csv"] = "native"
    path: Path | None = Field(None, description="a watched folder, relative to TIDEMARK_HOME")
    pattern: str = "*"
    timezone: TimeZone | None = Field(None, description="the zone of times that carry no offset")
    user_id: Literal["required", "optional"] = "required"
    contract: Literal["open", "strict"] = Field("open", description="whether unknown event types are accepted")
    allowed_lateness: timedelta = Field(
        timedelta(hours=1), description="how late its events may be and still be on time"
    )
    mapping: Mapping | None = Field(None, description="csv: which column is what")

    @model_validator(mode="after")
    def _mapped_when_tabular(self) -> Self:
        if (self.format == "csv") != (self.mapping is not None):
            raise ValueError("a source of format csv needs a mapping, and no other format takes one")
        return self


SourceName = Annotated[str, Field(pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]


class Sources(Config):
    """`config/sources.yml`."""

    sources: dict[SourceName, Source]


Address = Annotated[str, Field(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$", description="such as ops@example.com")]
RuleName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]


class Rule(Config):
    """What every rule of `config/alerts.yml` says."""

    description: str = ""
    severity: Literal["info", "warning", "critical"] = "warning"
    recipients: list[Address] = Field(min_length=1)


class MetricRule(Rule):
    """A rule that walks over the hours of a metric."""

    metric: str
    segment: str = Field(
        "all", pattern="^(all|[a-z][a-z0-9_]*=.+)$", description="all, dimension=value, or dimension=* for every value"
    )
    min_hours: int = Field(1, ge=1, description="consecutive breaching hours before an incident opens")
    clear_hours: int = Field(2, ge=1, description="consecutive good hours before it resolves")


class ThresholdRule(MetricRule):
    """The metric is above or below a fixed value."""

    kind: Literal["threshold"]
    above: float | None = Field(None, allow_inf_nan=False)
    below: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a threshold rule needs `above`, `below` or both")
        return self


class AnomalyRule(MetricRule):
    """The metric is far from what its own past lets expect."""

    kind: Literal["anomaly"]
    min_effect: float = Field(0.3, gt=0, description="the least relative distance from the expected value")
    direction: Literal["up", "down", "both"] = Field("both", description="on which side of it an anomaly counts")


class GateRule(Rule):
    """A gate fails: a table is held back."""

    kind: Literal["gate"]


class Alerts(Config):
    """`config/alerts.yml`."""

    notify_within: timedelta = Field(
        timedelta(hours=48), ge=timedelta(0), description="older breaches (a backfill) are recorded and not mailed"
    )
    rules: dict[RuleName, Annotated[ThresholdRule | AnomalyRule | GateRule, Field(discriminator="kind")]]


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


def tenant() -> Tenant:
    return _load("tenant.yml", Tenant)


def sources() -> dict[str, Source]:
    return _load("sources.yml", Sources).sources


def alerts() -> Alerts:
    return _load("alerts.yml", Alerts)


def reports() -> dict[str, Report]:
    return _load("reports.yml", Reports).reports


def _load(name: str, model: type[Model]) -> Model:
    """Read and check one configuration file. Raises TidemarkError with file and line."""
    path = settings().config / name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TidemarkError(
            f"{path} does not exist: copy it from the repository, or point TIDEMARK_CONFIG at its folder."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise TidemarkError(f"{path} cannot be read: {error}.") from error
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        return model.model_validate(yaml.safe_load(text) or {})
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TidemarkError(f"{path}:{line} is not valid YAML: {error.problem}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise TidemarkError(f"{path}:{_line_of(tree, first['loc'])} {where}: {message}.") from error
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
