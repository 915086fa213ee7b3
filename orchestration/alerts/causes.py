"""What may have caused a change: which segments explain it, and what else happened then. It judges nothing."""

from datetime import datetime, timedelta

import psycopg

from orchestration.alerts import series
from orchestration.alerts.walk import Reading
from orchestration.settings import MetricRule

CHART_STEPS = 72
NEAR = timedelta(hours=3)  # what happened so long before may be a cause
TOP = 3

# How each segment differs from the mean of the same hours or days of the four weeks before. Contributions to a sum are
# shares of its change (Adtributor's explanatory power, Bhagwat et al., NSDI 2014); shares and latencies have none.
_SEGMENTS = """
with spans as (
    select weeks,
        (%(first)s::timestamptz at time zone ops.timezone() - weeks * interval '7 days') at time zone ops.timezone()
            as first,
        (%(last)s::timestamptz at time zone ops.timezone() - weeks * interval '7 days') at time zone ops.timezone()
            as last
    from generate_series(0, 4) as weeks
),

published as (
    select segment, weeks, value::float8
    from spans
    join ({points}) as points on points.at between spans.first and spans.last
    where metric = %(metric)s
),

known as (
    select nullif(count(distinct weeks) filter (where weeks > 0), 0) as weeks from published
),

compared as (
    select
        segment,
        coalesce(sum(value) filter (where weeks = 0), 0) as value,
        coalesce(sum(value) filter (where weeks > 0), 0) / (select weeks from known) as usual,
        avg(value) filter (where weeks = 0) as mean,
        avg(value) filter (where weeks > 0) as usual_mean
    from published
    where segment <> 'all'
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
    if rule.step != "minute" and segment == "all":  # minutes are kept for two days
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
    span = {"metric": rule.metric, "first": first, "last": last, "adds_up": adds_up, "ready": series.NEVER}
    rows = connection.execute(_SEGMENTS.format(points=series.POINTS[rule.step]), span).fetchall()
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
