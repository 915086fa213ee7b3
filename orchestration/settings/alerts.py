"""`config/alerts.yml`: rules, and the channels that tell of them."""

from datetime import time, timedelta
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from orchestration.settings.config import Address, Config, Secret, TimeZone, Url

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
    """The metric is so much more or less than the step before, or than the same step a week before.

    With `over`, it is a count whose single hours are too small to tell: its mean over so much time is compared with
    the median of the same hours of four weeks, and differs by more than counts do by chance.
    """

    kind: Literal["change"]
    grain: Literal["hour", "day"] = "day"
    against: Literal["previous", "same_weekday"] = "same_weekday"
    rise: float | None = Field(None, gt=0, description="0.5 is half as much again")
    fall: float | None = Field(None, gt=0, le=1, description="0.5 is half")
    least: float = Field(0, ge=0, description="neither value is above it: too little to compare")
    over: timedelta | None = Field(None, ge=timedelta(hours=2), le=timedelta(days=1))

    @model_validator(mode="after")
    def _has_a_limit(self) -> Self:
        if self.rise is None and self.fall is None:
            raise ValueError("a change rule needs `rise`, `fall` or both")
        if self.over and (self.over % timedelta(hours=1) or self.grain != "hour" or self.against != "same_weekday"):
            raise ValueError("`over` takes whole hours, with `grain: hour` and against the same weekday")
        return self


class AnomalyRule(MetricRule):
    """The metric is outside the band that its own past lets expect."""

    kind: Literal["anomaly"]
    min_effect: float = Field(0.3, gt=0, description="the least relative distance from the expected value")
    direction: Direction = Field("both", description="on which side of the band it counts")


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


class AccessRule(StandingRule):
    """Somebody reads personal data otherwise than they use to: far more rows, other tables, at other hours."""

    kind: Literal["access"]


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
    | AbsenceRule | RowsRule | AccessRule | VolumeRule,
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
