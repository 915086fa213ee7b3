"""What may have caused a change: which segments explain it, and what else happened then. It judges nothing."""

from datetime import datetime, timedelta

import psycopg

from orchestration.alerts import series
from orchestration.alerts.walk import Reading
from orchestration.settings import MetricRule

CHART_STEPS = 72
NEAR = timedelta(hours=3)  # what happened so long before may be a cause
TOP = 3

# How each segment differs from the mean of the same hour of the four weeks before. Contributions to a sum are shares
# of its change (Adtributor's explanatory power, Bhagwat et al., NSDI 2014); shares and latencies have none.
_SEGMENTS = """
with segments as (
    select segment, hour, value::float8
    from api.metric_hourly
    where metric = %(metric)s and segment <> 'all'
      and exists (
          select from generate_series(0, 4) as weeks
          where hour between %(first)s - weeks * interval '7 days' and %(last)s - weeks * interval '7 days'
      )
),

compared as (
    select
        segment,
        coalesce(sum(value) filter (where hour >= %(first)s), 0) as value,
        coalesce(sum(value) filter (where hour < %(first)s), 0) / %(weeks)s as usual,
        avg(value) filter (where hour >= %(first)s) as mean,
        avg(value) filter (where hour < %(first)s) as usual_mean
    from segments
    group by segment
)

select segment, value, usual
from (
    select segment,
        case when %(adds_up)s then value else mean end as value,
        case when %(adds_up)s then usual else usual_mean end as usual
    from compared
) as both_known
where value is not null and usual is not null
"""

_WEEKS = """
select count(distinct weeks) as weeks from generate_series(1, 4) as weeks
where exists (select from api.metric_hourly where metric = %(metric)s
              and hour between %(first)s - weeks * interval '7 days' and %(last)s - weeks * interval '7 days')
"""

# Changes that people made, and other incidents.
_COINCIDED = """
select 'incident ' || incident_id || ': ' || detail as sentence from ops.incidents
where opened_hour between %(from)s and %(to)s and incident_id <> %(incident)s and status <> 'resolved'
union all
(select case event_type
    when 'price_changed' then 'price of ' || coalesce(properties ->> 'product_id', 'a product') || ' changed from '
        || coalesce(properties ->> 'previous_price', 'an unknown one') || ' to '
        || coalesce(properties ->> 'price', 'an unknown one')
    else 'release ' || coalesce(properties ->> 'version', properties ->> 'name', event_id)
    end || ' at ' || to_char(occurred_at, 'YYYY-MM-DD HH24:MI') || ' UTC'
from raw.events
where occurred_at between %(from)s and %(to)s and event_type in ('price_changed', 'release', 'deployment')
order by occurred_at desc limit 5)
union all
select sentence from ops.held_tables
union all
select source || ': ' || field || ' of ' || event_type || ' ' || detail
from ops.schema_changes where is_open and greatest(first_at, last_at) between %(from)s and %(to)s
union all
select relation || ' was built from another definition at ' || to_char(built_at, 'YYYY-MM-DD HH24:MI') || ' UTC'
from ops.definitions where built_at between %(from)s and %(to)s and relation ~ '^(staging|intermediate|marts)[.]'
limit 8
"""


def evidence(
    connection: psycopg.Connection, rule: MetricRule, segment: str, metric: dict, first: Reading, last: Reading
) -> dict:
    """The data of the incident's chart, and the segments that explain the change, the strongest first."""
    chart = [
        {"at": row["at"].isoformat(), "value": row["value"]}
        for row in series.chart(connection, rule, segment, last.at, CHART_STEPS)
    ]
    found = {"chart": chart, "contributions": []}
    if rule.step == "hour" and segment == "all":
        found["contributions"] = _contributions(connection, rule, metric, first.at, last.at)
    return found


def coincided(connection: psycopg.Connection, incident_id: int, since: datetime, until: datetime) -> list[str]:
    """What else happened from shortly before an incident began until it opened."""
    places = {"incident": incident_id, "from": since - NEAR, "to": until + timedelta(hours=1)}
    return [row["sentence"] for row in connection.execute(_COINCIDED, places)]


def _contributions(
    connection: psycopg.Connection, rule: MetricRule, metric: dict, first: datetime, last: datetime
) -> list[dict]:
    adds_up = metric["adds_up"] in ("sum", "distinct")
    span = {"metric": rule.metric, "first": first, "last": last}
    weeks = connection.execute(_WEEKS, span).fetchone()["weeks"]
    if not weeks:
        return []
    rows = connection.execute(_SEGMENTS, span | {"adds_up": adds_up, "weeks": weeks}).fetchall()
    if metric["unit"] == "money":  # money of several currencies is not added up
        rows = [row for row in rows if not row["segment"].startswith("currency=")]
    return contributions(rows, adds_up)


def contributions(rows: list[dict], adds_up: bool) -> list[dict]:
    """The segments that changed most, of the dimension that explains most by fewest.

    `rows` have segment, value and usual. Each result has these and `share`: of the whole change of its dimension, or
    of its own usual value where segments don't add up.
    """
    dimensions: dict[str, list[dict]] = {}
    for row in rows:
        dimensions.setdefault(row["segment"].partition("=")[0], []).append(row)
    best: list[dict] = []
    for members in dimensions.values():
        total = sum(row["value"] - row["usual"] for row in members)
        if adds_up and total == 0:
            continue
        told = [
            row | {"share": (row["value"] - row["usual"]) / (total if adds_up else abs(row["usual"]) or 1)}
            for row in members
        ]
        told = sorted(told, key=lambda row: -(row["share"] if adds_up else abs(row["share"])))[:TOP]
        if not best or abs(told[0]["share"]) > abs(best[0]["share"]):
            best = told
    return [row for row in best if abs(row["share"]) >= 0.1]
