"""`config/funnels.yml`, `config/objectives.yml` and `config/experiments.yml`: what the marts are asked to look at."""

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from orchestration.settings.config import Config

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
    users: int | None = Field(None, gt=0, description="how many people are waited for, all variants together")
    least_effect: float = Field(0.05, gt=0, description="relative to the first variant: what would be worth having")


class Experiments(Config):
    """`config/experiments.yml`."""

    experiments: dict[ConfiguredName, Experiment]
