"""Typed settings from the environment, and the models of `config/*.yml`, a module each. Nothing here computes."""

from orchestration.settings.access import Access, Reader
from orchestration.settings.alerts import (
    AbsenceRule,
    AccessRule,
    AlertmanagerChannel,
    Alerts,
    AnomalyRule,
    AppriseChannel,
    ChangeRule,
    Channel,
    Direction,
    ForecastRule,
    FreshnessRule,
    GateRule,
    MetricRule,
    ObjectiveRule,
    PagerDutyChannel,
    QuietHours,
    RowsRule,
    Rule,
    SchemaRule,
    SlackChannel,
    StandingRule,
    ThresholdRule,
    VolumeRule,
    WebhookChannel,
)
from orchestration.settings.analytics import Experiment, Experiments, Funnel, Funnels, Objective, Objectives
from orchestration.settings.config import Address, Model, checked, filled, load, place
from orchestration.settings.contract import Contract, Handling
from orchestration.settings.environment import ROOT, settings
from orchestration.settings.exports import Export, Exports
from orchestration.settings.forecasts import Forecast, Forecasts
from orchestration.settings.prices import Prices
from orchestration.settings.reports import Recipient, Report, Reports
from orchestration.settings.retention import Kept, Retention
from orchestration.settings.sources import (
    Basic,
    Column,
    Http,
    HttpCursor,
    Kafka,
    Mapping,
    NextLink,
    OAuth2,
    Offset,
    Overlap,
    Postgres,
    Redis,
    Source,
    Sources,
)
from orchestration.settings.tenant import Tenant


def funnels() -> dict[str, Funnel]:
    return _own_or_shipped("funnels.yml", Funnels).funnels


def objectives() -> dict[str, Objective]:
    return _own_or_shipped("objectives.yml", Objectives).objectives


def experiments() -> dict[str, Experiment]:
    return _own_or_shipped("experiments.yml", Experiments).experiments


def forecasts() -> Forecasts:
    return _own_or_shipped("forecasts.yml", Forecasts)


def prices() -> Prices:
    return _own_or_shipped("prices.yml", Prices)


def tenant() -> Tenant:
    return load("tenant.yml", Tenant)


def sources() -> dict[str, Source]:
    return load("sources.yml", Sources).sources


def contract() -> Contract:
    """What is personal is so in any configuration: without a contract of its own, the shipped one holds."""
    return _own_or_shipped("contract.yml", Contract)


def alerts() -> Alerts:
    return load("alerts.yml", Alerts)


def reports() -> Reports:
    return load("reports.yml", Reports)


def access() -> Access:
    """Without a list of one's own, nobody but the operator reads."""
    return _own_or_shipped("access.yml", Access)


def exports() -> dict[str, Export]:
    return _own_or_shipped("exports.yml", Exports).exports


def retention() -> Retention:
    return load("retention.yml", Retention)


def _own_or_shipped(name: str, model: type[Model]) -> Model:
    own = settings().config
    return load(name, model, own if (own / name).exists() else ROOT / "config")
