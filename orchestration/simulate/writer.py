"""Events as files: JSON lines by day of arrival, with late, duplicate and broken records. Nothing is invented here."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from orchestration.simulate.period import DAY, HOUR, Period
from orchestration.simulate.table import Column, Lists, Money, Numbered, Table, Text, spread
from orchestration.simulate.truth import File

if TYPE_CHECKING:
    import polars as pl

BROKEN_KINDS = (
    "invalid_json", "not_an_object", "missing_event_type", "unparsable_time", "future_time", "missing_user_id",
)  # fmt: skip
_CHUNK = 150_000  # events encoded at once: keeps the memory flat


@dataclass
class Delivery:
    """What was written, beside the events themselves."""

    files: list[File] = field(default_factory=list)
    late: int = 0
    duplicates: int = 0
    broken: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BROKEN_KINDS, 0))


def write(
    directory: Path,
    period: Period,
    tables: list[Table],
    rng: np.random.Generator,
    *,
    prefix: str,
    late_rate: float,
    duplicate_rate: float,
    broken_rate: float,
) -> Delivery:
    """One file a day of arrival, named by its date. `tables` are in order of time; `prefix` begins every event_id."""
    import polars as pl

    delivery = Delivery()
    events = sum(len(table) for table in tables)
    days_at_once = max(1, _CHUNK * period.days // max(events, 1))
    held = pl.DataFrame(schema={"arrives_at": pl.Int64, "line": pl.String})
    written = 0
    for first in range(0, period.days, days_at_once):
        last = min(first + days_at_once, period.days)
        part = [_between(table, period.start + first * DAY, period.start + last * DAY) for table in tables]
        encoded = []
        for table in part:
            encoded.append(_encode(table, prefix, written))
            written += len(table)
        lines = pl.concat(encoded, rechunk=True)
        arriving = [held, *_deliver(lines, period, rng, delivery, prefix, late_rate, duplicate_rate, broken_rate)]
        ready = pl.concat(arriving).sort("arrives_at", maintain_order=True)
        until = int(np.searchsorted(ready["arrives_at"].to_numpy(), period.start + last * DAY))
        held = ready[until:]
        _write_days(directory, period, ready[:until], range(first, last), delivery)
    return delivery


def _between(table: Table, start: int, end: int) -> Table:
    low, high = np.searchsorted(table.time, [start, end])
    return table.rows(slice(low, high))


def _encode(table: Table, prefix: str, first_number: int) -> "pl.DataFrame":
    """The lines of a table, and the time of each as its arrival."""
    import polars as pl

    numbers = np.arange(first_number, first_number + len(table)) + 1
    columns = {
        "event_id": _series(Numbered(prefix, numbers, 9)),
        "event_type": pl.repeat(table.event_type, len(table), eager=True),
        "occurred_at": pl.Series(table.time).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
        "user_id": _series(user_id(table.user)),
    }
    if table.session is not None:
        columns["session_id"] = _series(Numbered("session-", table.session + 1, 8))
    columns["properties"] = _struct(table.properties)
    return pl.DataFrame(
        {"arrives_at": pl.Series(table.time), "line": pl.DataFrame(columns).to_struct().struct.json_encode()}
    )


def user_id(users: np.ndarray) -> Numbered:
    return Numbered("user-", users + 1, 6)


def _struct(columns: dict[str, Column]) -> "pl.Series":
    import polars as pl

    return pl.DataFrame({name: _series(column) for name, column in columns.items()}).to_struct()


def _series(column: Column) -> "pl.Series":
    import polars as pl

    match column:
        case Text(codes, names):
            return pl.Series(names, dtype=pl.String).gather(codes)
        case Numbered(prefix, numbers, width):
            return prefix + pl.Series(numbers).cast(pl.String).str.zfill(width)
        case Money(cents):
            return pl.Series(cents / 100)  # divided by numpy, which gives the float nearest to the amount
        case Lists(first, fields):
            row, _ = spread(np.diff(first))
            lines = pl.DataFrame({"row": row, "line": _struct(fields)})
            return lines.group_by("row", maintain_order=True).agg("line")["line"]
        case _:
            return pl.Series(column)


def _deliver(
    lines: "pl.DataFrame",
    period: Period,
    rng: np.random.Generator,
    delivery: Delivery,
    prefix: str,
    late_rate: float,
    duplicate_rate: float,
    broken_rate: float,
) -> list["pl.DataFrame"]:
    """The lines with the times at which they arrive, repeats of some, and records that no reader can accept."""
    import polars as pl

    occurred_at = lines["arrives_at"].to_numpy()
    newest = period.end - 1
    is_late = rng.random(len(lines)) < late_rate
    delays = (DAY * (1 - np.log(rng.random(is_late.sum())))).astype(np.int64)  # a day or more, two on average
    arrives_at = occurred_at.copy()
    arrives_at[is_late] = np.minimum(arrives_at[is_late] + delays, newest)
    delivery.late += int((period.day_of(arrives_at) > period.day_of(occurred_at)).sum())
    delivered = lines.with_columns(arrives_at=arrives_at)

    again = np.flatnonzero(rng.random(len(lines)) < duplicate_rate)
    repeated_at = arrives_at[again] + (HOUR * rng.lognormal(0, 2, len(again))).astype(np.int64)
    repeats = delivered[again].with_columns(arrives_at=np.minimum(repeated_at, newest))
    delivery.duplicates += len(repeats)

    spoilt = np.flatnonzero(rng.random(len(lines)) < broken_rate)
    records = []
    for line in lines["line"].gather(spoilt):
        number = sum(delivery.broken.values())
        kind = BROKEN_KINDS[number % len(BROKEN_KINDS)]
        delivery.broken[kind] += 1
        records.append(_spoil(line, kind, f"{prefix}broken-{number + 1:06d}"))
    broken = pl.DataFrame({"arrives_at": occurred_at[spoilt], "line": records}, schema=lines.schema)
    return [delivered, repeats, broken]


def _spoil(line: str, kind: str, event_id: str) -> str:
    """A record like this one, with an identity of its own and one thing wrong."""
    record = json.loads(line) | {"event_id": event_id}
    match kind:
        case "not_an_object":
            return json.dumps([event_id, record["event_type"]])
        case "missing_event_type":
            del record["event_type"]
        case "unparsable_time":
            record["occurred_at"] = "yesterday, around noon"
        case "future_time":
            record["occurred_at"] = "2999" + record["occurred_at"][4:].replace("02-29", "02-28")
        case "missing_user_id":
            del record["user_id"]
    text = json.dumps(record, separators=(",", ":"))
    return text[: len(text) * 2 // 3] if kind == "invalid_json" else text


def _write_days(directory: Path, period: Period, lines: "pl.DataFrame", days: range, delivery: Delivery) -> None:
    midnights = [period.start + day * DAY for day in [*days, days.stop]]
    edges = np.searchsorted(lines["arrives_at"].to_numpy(), midnights)
    for day, low, high in zip(days, edges[:-1], edges[1:], strict=True):
        name = f"{period.date(day)}.jsonl"
        partial = directory / f".{period.date(day)}.partial"  # not taken for an event file by who watches the folder
        lines[low:high].select("line").write_csv(partial, include_header=False, quote_style="never")
        os.replace(partial, directory / name)
        delivery.files.append(File(name=name, lines=int(high - low)))
