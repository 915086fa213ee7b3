"""Typed settings from the environment, and the models of `config/*.yml`, a module each. Nothing here computes."""

from orchestration.settings.alerts import (
    AbsenceRule,
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
from orchestration.settings.config import Address, Model, filled, load, place
from orchestration.settings.contract import Contract, Handling
from orchestration.settings.environment import ROOT, settings
from orchestration.settings.forecasts import Forecast, Forecasts
from orchestration.settings.reports import Report, Reports
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


def tenant() -> Tenant:
    return load("tenant.yml", Tenant)


def sources() -> dict[str, Source]:
    return load("sources.yml", Sources).sources


def contract() -> Contract:
    """What is personal is so in any configuration: without a contract of its own, the shipped one holds."""
    return _own_or_shipped("contract.yml", Contract)


def alerts() -> Alerts:
    return load("alerts.yml", Alerts)


def reports() -> dict[str, Report]:
    return load("reports.yml", Reports).reports


def retention() -> Retention:
    return load("retention.yml", Retention)


def _own_or_shipped(name: str, model: type[Model]) -> Model:
    own = settings().config
    return load(name, model, own if (own / name).exists() else ROOT / "config")
