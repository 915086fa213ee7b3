"""Which incidents are planted, and when. How they act on the events is in the systems they strike."""

import numpy as np

from orchestration.simulate.period import HOUR, Period, moment
from orchestration.simulate.truth import Incident

SLOW_ENDPOINT = "/api/products"
VIRAL_CATEGORY = "science"
LEAST_DAYS = 7

# what falls when nobody can log in
_VOLUMES = ["sessions", "events", "requests", "content_views", "content_completions", "lessons_completed",
            "learning_seconds", "rooms_created", "rooms_matched", "votes_cast", "orders", "units", "revenue",
            "transactions", "transaction_volume"]  # fmt: skip

# kind, share of the period that has passed on its day, first and last hour (UTC), description, metric, segment,
# direction, what else moves
_PLAN = [
    ("checkout_outage", 0.2, 9, 16, "orders cannot be completed", "orders", "all", "down", ["revenue", "units"]),
    ("slow_endpoint", 0.4, 12, 18, "an endpoint answers twelve times slower",
     "latency_p95_ms", f"endpoint={SLOW_ENDPOINT}", "up", ["latency_p50_ms"]),
    ("failing_requests", 0.55, 9, 14, "four in ten requests fail", "error_rate", "all", "up", []),
    ("login_outage", 0.7, 8, 18, "only one login in twelve succeeds", "active_users", "all", "down", _VOLUMES),
    ("viral_content", 0.8, 12, 22, "one item is shared everywhere", "content_views", f"category={VIRAL_CATEGORY}", "up",
     ["active_users", "sessions", "events", "requests", "content_completions"]),
]  # fmt: skip
_OPEN_HOURS = 8


def plan(period: Period) -> list[Incident]:
    """The incidents of a period of at least a week: five that end, and one that is open when the files end."""
    planned = [
        Incident(
            kind=kind,
            description=description,
            metric=metric,
            segment=segment,
            start=moment(period.start + (24 * int(share * period.days) + first) * HOUR),
            end=moment(period.start + (24 * int(share * period.days) + last) * HOUR),
            direction=direction,
            moves_too=moves_too,
        )
        for kind, share, first, last, description, metric, segment, direction, moves_too in _PLAN
    ]
    still_open = Incident(
        kind="failing_requests",
        description="four in ten requests fail, and nobody has noticed yet",
        metric="error_rate",
        segment="all",
        start=moment(period.end - _OPEN_HOURS * HOUR),
        end=None,
        direction="up",
        moves_too=[],
    )
    return [*planned, still_open]


def during(incidents: list[Incident], kind: str, times: np.ndarray) -> np.ndarray:
    """Which of these times fall into an incident of this kind."""
    inside = np.zeros(len(times), dtype=bool)
    for incident in incidents:
        if incident.kind == kind:
            start = int(incident.start.timestamp() * 1000)
            end = int(incident.end.timestamp() * 1000) if incident.end else np.iinfo(np.int64).max
            inside |= (times >= start) & (times < end)
    return inside
