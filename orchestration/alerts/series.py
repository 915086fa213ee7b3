"""Reads from `api` the hours that a rule has not walked over yet. Nothing here judges or writes."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby, takewhile
from operator import itemgetter

import psycopg

from orchestration.alerts.evaluation import Reading
from orchestration.alerts.rules import fingerprint
from orchestration.settings import AnomalyRule, MetricRule

# From each series' mark, or its first hour, up to the newest final hour. Where an hour in which nothing happened is a
# zero (a sum, a count), it is read as one; elsewhere (a rate, a latency, an average) it has no value and no row.
_METRIC_HOURS = """
with series as (
    select segment, min(hour) as first_hour
    from api.metric_hourly
    where metric = %(metric)s and {segment}
    group by segment
),

ahead as (
    select
        series.segment,
        ops.hour_of(moment, ops.timezone()) as hour
    from series
    left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || series.segment
    cross join lateral generate_series(
        coalesce(marks.hour + interval '1 hour', series.first_hour), %(as_of)s, interval '1 hour'
    ) as moment
)

select ahead.segment, ahead.hour, coalesce(hours.value, 0)::float8 as value, coalesce(hours.is_final, true) as is_final
from ahead
left join api.metric_hourly as hours
    on hours.metric = %(metric)s and hours.segment = ahead.segment and hours.hour = ahead.hour
where hours.value is not null
   or exists (select from api.metrics where metric = %(metric)s and adds_up in ('sum', 'distinct'))
order by ahead.segment, ahead.hour
"""

_ANOMALY_HOURS = """
with scored as (
    select
        case when series_id = %(metric)s then 'all' else substr(series_id, length(%(metric)s) + 2) end as segment,
        ds as hour, value, expected, lo, hi, is_anomaly
    from api.anomalies
    where (series_id = %(metric)s or starts_with(series_id, %(metric)s || '|')) and ds <= %(as_of)s
)

select scored.*, true as is_final
from scored
left join ops.alert_marks as marks on marks.fingerprint = %(prefix)s || segment
where {segment} and (marks.hour is null or scored.hour > marks.hour)
order by segment, scored.hour
"""


def newest_final_hour(connection: psycopg.Connection) -> datetime | None:
    """The "now" of alerts, in event time. None before anything was published."""
    if not _exists(connection, "api.metric_hourly"):
        return None
    return connection.execute("select max(hour) from api.metric_hourly where is_final").fetchone()["max"]


def catalogue(connection: psycopg.Connection) -> dict[str, dict]:
    """Every known metric with its description and unit."""
    metrics = connection.execute("select metric, description, unit from api.metrics").fetchall()
    return {metric["metric"]: metric for metric in metrics}


def unread(
    connection: psycopg.Connection, rule_name: str, rule: MetricRule, as_of: datetime
) -> Iterable[tuple[str, list[Reading]]]:
    """Each segment of a rule with its final hours after the rule's mark, oldest first.

    A series ends before its first hour that is not final, so that none is passed over.
    """
    if isinstance(rule, AnomalyRule) and not _exists(connection, "api.anomalies"):
        return
    query = _ANOMALY_HOURS if isinstance(rule, AnomalyRule) else _METRIC_HOURS
    is_pattern = rule.segment.endswith("=*")
    condition = "starts_with(segment, %(segment)s)" if is_pattern else "segment = %(segment)s"
    rows = connection.execute(
        query.format(segment=condition),
        {
            "metric": rule.metric,
            "segment": rule.segment.removesuffix("*") if is_pattern else rule.segment,
            "prefix": fingerprint(rule_name, rule.metric, ""),
            "as_of": as_of,
        },
    )
    for segment, hours in groupby(rows, key=itemgetter("segment")):
        final = takewhile(itemgetter("is_final"), hours)
        yield (
            segment,
            [Reading(**{key: row[key] for key in row if key not in ("segment", "is_final")}) for row in final],
        )


def _exists(connection: psycopg.Connection, relation: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null as yes", [relation]).fetchone()["yes"]
