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
from orchestration.settings.config import Address, filled, load, place
from orchestration.settings.contract import Contract, Handling
from orchestration.settings.environment import ROOT, settings
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
    return load("funnels.yml", Funnels).funnels


def objectives() -> dict[str, Objective]:
    return load("objectives.yml", Objectives).objectives


def experiments() -> dict[str, Experiment]:
    return load("experiments.yml", Experiments).experiments


def tenant() -> Tenant:
    return load("tenant.yml", Tenant)


def sources() -> dict[str, Source]:
    return load("sources.yml", Sources).sources


def contract() -> Contract:
    """The contract, which is the shipped one unless there is another: what is personal is so in any configuration."""
    own = settings().config
    return load("contract.yml", Contract, own if (own / "contract.yml").exists() else ROOT / "config")


def alerts() -> Alerts:
    return load("alerts.yml", Alerts)


def reports() -> dict[str, Report]:
    return load("reports.yml", Reports).reports


def retention() -> Retention:
    return load("retention.yml", Retention)
