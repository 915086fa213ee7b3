"""Reads from `api` the steps of a series that a rule has not walked over yet. Nothing here judges or writes."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby, takewhile
from operator import itemgetter

import psycopg

from orchestration.alerts.rules import fingerprint
from orchestration.alerts.walk import Reading
from orchestration.settings import (
    AnomalyRule,
    ChangeRule,
    ForecastRule,
    MetricRule,
    ObjectiveRule,
    Rule,
    ThresholdRule,
    VolumeRule,
)

STEP = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}

# Whether a step is complete: final, or `ready` but for sources that a rule does not depend on.
_IS_FINAL = {
    "hour": """(is_final or (hour + interval '1 hour' <= %(ready)s::timestamptz
                             and hour not in (select hour from ops.held_hours)))""",
    "day": """(is_final or ((day + 1)::timestamp at time zone ops.timezone() <= %(ready)s::timestamptz
                            and day not in (select ops.day_of(hour, ops.timezone()) from ops.held_hours)))""",
}
NEVER = "-infinity"

# What is published at each grain: the beginning of the step, as a time.
POINTS = {
    "minute": "select metric, segment, minute as at, value, true as is_final from api.metric_minutes",
    "hour": f"select metric, segment, hour as at, value, {_IS_FINAL['hour']} as is_final from api.metric_hourly",
    "day": f"""select metric, segment, day::timestamp at time zone ops.timezone() as at, value,
                   {_IS_FINAL["day"]} as is_final
               from api.metric_daily""",
}

# The steps from one to another. An hour has a name of its own where zones shift by less than an hour, a day is one of
# the tenant's.
_GRID = {
    "minute": "generate_series({begin}, {end}, interval '1 minute')",
    "hour": """(select ops.hour_of(moment, ops.timezone())
                from generate_series({begin}, {end}, interval '1 hour') as moment)""",
    "day": """(select moment at time zone ops.timezone()
               from generate_series({begin} at time zone ops.timezone(), {end} at time zone ops.timezone(),
                                    interval '1 day') as moment)""",
}

# From each series' mark, or its first step, up to the newest final one. Where a step in which nothing happened is a
# zero (a sum, a count), it is read as one; elsewhere (a rate, a latency, an average) it has no value and no row.
_VALUES = """
with points as (
    select segment, at, value::float8, is_final from ({points}) as published where metric = %(metric)s and {segment}
),

series as (
    select points.segment, min(points.at) as first_at, max(marks.hour) as walked_to
    from points
    left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || points.segment
    group by points.segment
),

ahead as (
    select series.*, grid.at
    from series
    cross join lateral {grid} as grid (at)
    where series.walked_to is null or grid.at > series.walked_to
),

filling as (
    select exists (select from api.metrics where metric = %(metric)s and adds_up in ('sum', 'distinct')) as is_zero
)
"""

_THRESHOLD = """
select ahead.segment, ahead.at, coalesce(points.value, 0) as value, coalesce(points.is_final, true) as is_final
from ahead
cross join filling
left join points on points.segment = ahead.segment and points.at = ahead.at
where points.value is not null or filling.is_zero
order by ahead.segment, ahead.at
"""

_CHANGE = """
select
    ahead.segment, ahead.at, coalesce(points.value, 0) as value, coalesce(points.is_final, true) as is_final,
    case
        when before.value is not null then before.value
        when filling.is_zero and reference.at >= ahead.first_at then 0
    end as expected
from ahead
cross join filling
cross join lateral (
    select (ahead.at at time zone ops.timezone() - %(lag)s::interval) at time zone ops.timezone() as at
) as reference
left join points on points.segment = ahead.segment and points.at = ahead.at
left join points as before on before.segment = ahead.segment and before.at = reference.at
where points.value is not null or filling.is_zero
order by ahead.segment, ahead.at
"""

# The mean of some hours that end with each step, beside the median of those of the four weeks before. Weeks have 168
# hours here: for a month after the clocks change, it compares with an hour beside.
_CHANGE_OVER = """
, filled as (
    select series.segment, series.walked_to, grid.at, coalesce(points.value, 0) as value,
        coalesce(points.is_final, true) as is_final
    from series
    cross join lateral generate_series(
        greatest(series.first_at, series.walked_to - interval '30 days'),
        %(as_of)s, interval '1 hour'
    ) as grid (at)
    left join points on points.segment = series.segment and points.at = grid.at
),

means as (
    select segment, walked_to, at, is_final,
        case when count(*) over before = %(hours)s then avg(value) over before end as mean
    from filled
    window before as (partition by segment order by at range between %(before)s::interval preceding and current row)
),

beside as (
    select means.*,
        array[lag(mean, 168) over past, lag(mean, 336) over past, lag(mean, 504) over past, lag(mean, 672) over past]
            as weeks
    from means
    window past as (partition by segment order by at)
)

select segment, at, mean as value, is_final,
    (select case
            when count(week) >= 3 then percentile_cont(0.5) within group (order by week)
            when count(week) = 2 then {milder}(week)  -- a median of two would not keep a week of trouble out
        end
     from unnest(weeks) as week) as expected
from beside
where mean is not null and (walked_to is null or at > walked_to)
order by segment, at
"""

# The bad and all there were, over the two windows that end with each step. Both have to burn, so the lesser counts.
_OBJECTIVE = """
with points as (
    select metric, segment, at, value::float8, is_final
    from ({points}) as published where metric in (%(metric)s, %(of)s) and {segment} and at <= %(as_of)s
),

parts as (
    select segment, rates.at, rates.value * counts.value as bad, counts.value as total, rates.is_final, marks.hour
    from points as rates
    join points as counts using (segment, at)
    left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || segment
    where rates.metric = %(metric)s and counts.metric = %(of)s
      and (marks.hour is null or at > marks.hour - %(long)s::interval)
),

shares as (
    select
        segment, at, is_final, hour,
        sum(bad) over long / nullif(sum(total) over long, 0) as long,
        sum(bad) over short / nullif(sum(total) over short, 0) as short
    from parts
    window
        long as (partition by segment order by at range between %(long_before)s::interval preceding and current row),
        short as (partition by segment order by at range between %(short_before)s::interval preceding and current row)
)

select segment, at, least(long, short) / (1 - %(objective)s::float8) as value, is_final
from shares
where (hour is null or at > hour) and long is not null and short is not null
order by segment, at
"""

_ANOMALY = """
with scored as (
    select
        case when series_id = %(metric)s then 'all' else substr(series_id, length(%(metric)s) + 2) end as segment,
        ds as at, value, expected, lo, hi
    from api.anomalies
    where (series_id = %(metric)s or starts_with(series_id, %(metric)s || '|')) and ds <= %(as_of)s
)

select scored.*, true as is_final
from scored
left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || segment
where {segment} and (marks.hour is null or scored.at > marks.hour)
order by segment, scored.at
"""

# What was last said of a day before anything of it was known.
_FORECAST = """
with said as (
    select distinct on (series_id, ds)
        case when series_id = %(metric)s then 'all' else substr(series_id, length(%(metric)s) + 2) end as segment,
        ds as at, yhat, lo_95, hi_95
    from api.forecasts
    where (series_id = %(metric)s or starts_with(series_id, %(metric)s || '|')) and ds <= %(as_of)s
    order by series_id, ds, load_id desc
),

points as (
    select segment, at, value::float8, is_final from ({points}) as published where metric = %(metric)s
)

select segment, at, coalesce(points.value, 0) as value, coalesce(points.is_final, true) as is_final,
    yhat as expected, lo_95 as lo, hi_95 as hi
from said
left join points using (segment, at)
left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || segment
where {segment} and (marks.hour is null or at > marks.hour)
  and (points.value is not null
       or exists (select from api.metrics where metric = %(metric)s and adds_up in ('sum', 'distinct')))
order by segment, at
"""

# Events in a session, beside the median of the same hour of the seven days before.
_VOLUME = """
with hours as (
    select hour as at, bool_and(is_final) as is_final,
        max(value) filter (where metric = 'events')::float8 as events,
        max(value) filter (where metric = 'sessions')::float8 as sessions
    from api.metric_hourly
    where metric in ('events', 'sessions') and segment = 'all' and hour <= %(as_of)s
    group by hour
),

judged as (
    select at, is_final, events / sessions as value from hours where sessions >= %(least)s
)

select 'all' as segment, judged.at, judged.value, usual.value as expected, judged.is_final
from judged
left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || 'all'
cross join lateral (
    select percentile_cont(0.5) within group (order by past.value) as value, count(*) as days
    from judged as past
    where past.at in (select judged.at - days * interval '1 day' from generate_series(1, 7) as days)
) as usual
where usual.days >= 3 and (marks.hour is null or judged.at > marks.hour)
order by judged.at
"""

_NEWEST = {
    "minute": ("api.windows", "select max(as_of) - interval '1 minute' as newest from api.windows"),
    "hour": ("api.metric_hourly", f"select max(hour) as newest from api.metric_hourly where {_IS_FINAL['hour']}"),
    "day": (
        "api.metric_daily",
        f"""select max(day)::timestamp at time zone ops.timezone() as newest from api.metric_daily
            where {_IS_FINAL["day"]}""",
    ),
}

# As `ops.final_before`, of what was published and without some of the sources.
_READY = """
with newest as (
    select source, max(newest_at) as newest_at from raw.loads
    where newest_at is not null and not source = any(%(without)s)
      and load_id <= (select load_id from ops.tidemarks where table_name = 'views.metric_hourly')
    group by source
)

select min(newest_at - coalesce(allowed_lateness, interval '1 hour')) as ready
from newest
left join ops.sources using (source)
where newest_at > (select max(newest_at) from newest) - interval '7 days'
"""


def newest(connection: psycopg.Connection, grain: str, ready: datetime | str = NEVER) -> datetime | None:
    """The newest complete step: the "now" of event time. None before anything was published."""
    relation, query = _NEWEST[grain]
    return connection.execute(query, {"ready": ready}).fetchone()["newest"] if exists(connection, relation) else None


def ready(connection: psycopg.Connection, without: list[str]) -> datetime | str:
    """The time up to which all sources but some have brought what they had to."""
    return connection.execute(_READY, {"without": without}).fetchone()["ready"] or NEVER


def catalogue(connection: psycopg.Connection) -> dict[str, dict]:
    """Every known metric with its description and unit, and how it adds up."""
    metrics = connection.execute("select metric, description, unit, adds_up from api.metrics").fetchall()
    return {metric["metric"]: metric for metric in metrics}


def unread(
    connection: psycopg.Connection,
    rule_name: str,
    rule: MetricRule | VolumeRule,
    as_of: datetime,
    ready: datetime | str = NEVER,
) -> Iterator[tuple[str, list[Reading]]]:
    """Each segment of a rule with its complete steps after the rule's mark, oldest first.

    A series ends before its first step that is not complete, so that none is passed over.
    """
    query, parameters = _query(rule)
    if query is None or not all(exists(connection, relation) for relation in _relations(rule)):
        return
    prefix = fingerprint(rule_name, "volume" if isinstance(rule, VolumeRule) else rule.metric, "")
    rows = connection.execute(query, parameters | {"prefix": prefix, "as_of": as_of, "ready": ready})
    for segment, steps in groupby(rows, key=itemgetter("segment")):
        final = takewhile(itemgetter("is_final"), steps)
        yield (
            segment,
            [Reading(**{key: row[key] for key in row if key not in ("segment", "is_final")}) for row in final],
        )


def chart(connection: psycopg.Connection, rule: MetricRule, segment: str, until: datetime, steps: int) -> list[dict]:
    """The `steps` values of a series that end with a step: at and value, oldest first."""
    return connection.execute(
        f"""select at, value::float8 from ({POINTS[rule.step]}) as published
            where metric = %(metric)s and segment = %(segment)s and at <= %(until)s and at > %(since)s order by at""",
        {
            "metric": rule.metric,
            "segment": segment,
            "until": until,
            "since": until - steps * STEP[rule.step],
            "ready": NEVER,
        },
    ).fetchall()


def _query(rule: Rule) -> tuple[str | None, dict]:
    if isinstance(rule, VolumeRule):
        return _VOLUME, {"least": rule.least}
    is_pattern = rule.segment.endswith("=*")
    words = {
        "segment": "starts_with(segment, %(segment)s)" if is_pattern else "segment = %(segment)s",
        "points": POINTS[rule.step],
        "grid": _GRID[rule.step].format(
            begin=f"coalesce(series.walked_to + interval '1 {rule.step}', series.first_at)",
            end="%(as_of)s::timestamptz",
        ),
    }
    parameters = {"metric": rule.metric, "segment": rule.segment.removesuffix("*") if is_pattern else rule.segment}
    match rule:
        case ThresholdRule():
            return (_VALUES + _THRESHOLD).format(**words), parameters
        case ChangeRule(over=timedelta()):
            hours = rule.over // STEP["hour"]
            words["milder"] = "min" if rule.fall else "max"
            return (_VALUES + _CHANGE_OVER).format(**words), parameters | {
                "hours": hours,
                "before": rule.over - STEP["hour"],
            }
        case ChangeRule():
            lag = timedelta(days=7) if rule.against == "same_weekday" else STEP[rule.step]
            return (_VALUES + _CHANGE).format(**words), parameters | {"lag": lag}
        case ObjectiveRule():
            step = STEP[rule.step]
            return _OBJECTIVE.format(**words), parameters | {
                "of": rule.of,
                "objective": rule.objective,
                "long": rule.long,
                "long_before": rule.long - step,
                "short_before": rule.short - step,
            }
        case AnomalyRule():
            return _ANOMALY.format(**words), parameters
        case ForecastRule():
            return _FORECAST.format(**words), parameters
    return None, {}


def _relations(rule: Rule) -> list[str]:
    match rule:
        case AnomalyRule():
            return ["api.anomalies"]
        case ForecastRule():
            return ["api.forecasts", "api.metric_daily"]
        case VolumeRule():
            return ["api.metric_hourly"]
    return [{"minute": "api.metric_minutes", "hour": "api.metric_hourly", "day": "api.metric_daily"}[rule.step]]


def exists(connection: psycopg.Connection, relation: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null as yes", [relation]).fetchone()["yes"]
