"""Which models have to learn again before the night: their inputs drifted, or their intervals do not hold."""

from dataclasses import dataclass

import psycopg

LEAST_VALUES = 56  # scored values before coverage says anything: two months of days, or four of a week's parts
COVERAGE = (0.6, 0.95)  # of 80 % intervals: outside of it they do not mean what they say

_DUE = """
    with drifted as (
        select distinct on (model_id, input) model_id, made_at::date as day, input, is_drift
        from ml.drift order by model_id, input, load_id desc
    ),

    covered as (
        select model_id, count(*) as n, avg(is_in_80::int) as share, max(ds)::date as newest
        from ml.forecast_scores group by model_id
    )

    select models.name, models.model_id,
        'drift of ' || string_agg(drifted.input, ', ' order by drifted.input) as cause,
        max(drifted.day)::text as since
    from ml.models as models
    join drifted on drifted.model_id = models.model_id and drifted.is_drift
    where models.stage = 'serving'
    group by models.name, models.model_id
    union all
    select models.name, models.model_id,
        format('%%s %% of the truth within its 80 %% intervals', round(100 * covered.share)), covered.newest::text
    from ml.models as models
    join covered on covered.model_id = models.model_id
    where models.stage = 'serving' and covered.n >= %(least)s
        and covered.share not between %(lowest)s and %(highest)s
    order by 1, 3
"""


@dataclass(frozen=True)
class Due:
    """A model in service that has to learn again, and why. `since` is the day that shows it."""

    name: str
    model_id: str
    cause: str
    since: str


def due(connection: psycopg.Connection) -> list[Due]:
    """What drifted or does not cover, of the models in service."""
    values = {"least": LEAST_VALUES, "lowest": COVERAGE[0], "highest": COVERAGE[1]}
    return [Due(*row) for row in connection.execute(_DUE, values)]
