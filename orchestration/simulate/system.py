"""Requests: what the servers answered to what people did, how fast, and how often they failed."""

import numpy as np

from orchestration.simulate import incidents
from orchestration.simulate.table import Table, Text
from orchestration.simulate.truth import Incident

_SERVED_BY = {  # event type: endpoint and method
    "page_viewed": ("/", "GET"),
    "content_searched": ("/api/search", "GET"),
    "content_viewed": ("/api/content", "GET"),
    "content_started": ("/api/content", "POST"),
    "content_completed": ("/api/content", "POST"),
    "content_rated": ("/api/content", "POST"),
    "lesson_started": ("/api/lessons", "GET"),
    "lesson_completed": ("/api/lessons", "POST"),
    "room_created": ("/api/rooms", "POST"),
    "room_joined": ("/api/rooms", "POST"),
    "room_started": ("/api/rooms", "POST"),
    "vote_cast": ("/api/rooms", "POST"),
    "product_viewed": ("/api/products", "GET"),
    "product_added": ("/api/cart", "POST"),
    "checkout_started": ("/api/checkout", "POST"),
    "order_completed": ("/api/checkout", "POST"),
    "transaction_created": ("/api/transactions", "POST"),
}
_MEDIAN_MS = {"/": 45, "/api/search": 180, "/api/content": 70, "/api/lessons": 90, "/api/rooms": 60,
              "/api/products": 80, "/api/cart": 55, "/api/checkout": 240, "/api/transactions": 150}  # fmt: skip
_ENDPOINTS = list(_MEDIAN_MS)
_METHODS = ["GET", "POST"]
_FAILURES = np.array([500, 502, 503])


def requests(rng: np.random.Generator, planted: list[Incident], tables: list[Table], count: int) -> Table:
    """`count` requests that these events were answers to: half a per cent fail, the latencies are log-normal."""
    served = [table for table in tables if table.event_type in _SERVED_BY]
    sizes = np.array([len(table) for table in served])
    picked = np.sort(rng.choice(sizes.sum(), count, replace=count > sizes.sum()))
    kind = np.repeat(np.arange(len(served)), sizes)[picked]
    time, user, session = (
        np.concatenate([getattr(table, name) for table in served])[picked] for name in ("time", "user", "session")
    )
    endpoint = np.array([_ENDPOINTS.index(_SERVED_BY[table.event_type][0]) for table in served])[kind]
    method = np.array([_METHODS.index(_SERVED_BY[table.event_type][1]) for table in served])[kind]

    latency = np.array(list(_MEDIAN_MS.values()))[endpoint] * rng.lognormal(0, 0.45, len(picked))
    is_slow = incidents.during(planted, "slow_endpoint", time)
    latency[is_slow & (endpoint == _ENDPOINTS.index(incidents.SLOW_ENDPOINT))] *= 12
    risk = np.where(incidents.during(planted, "failing_requests", time), 0.4, 0.005)
    is_failed = rng.random(len(picked)) < risk
    status = np.where(is_failed, _FAILURES[rng.integers(0, 3, len(picked))], np.where(method == 1, 201, 200))
    return Table(
        "request_served",
        time,
        user,
        session,
        {
            "endpoint": Text(endpoint, _ENDPOINTS),
            "method": Text(method, _METHODS),
            "status": status,
            "latency_ms": np.rint(latency * 10) / 10,
        },
    )
