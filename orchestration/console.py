"""How results look in a terminal: results on standard output, progress on standard error. Nothing is computed here."""

import base64
import dataclasses
import json
import sys
from collections.abc import Callable
from datetime import datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

STEPS = {
    "simulate": "Simulating the sample events",
    "raw__events": "Loading events",
    "staging": "Preparing the staging views",
    "fast_lane": "Loading, counting and publishing minutes",
    "marts": "Building hourly and daily tables",
    "published": "Publishing",
    "ml__models": "Training models and testing them out of sample",
    "ml__forecasts": "Forecasting",
    "ml__anomalies": "Detecting anomalies",
    "ml__churn_scores": "Scoring churn",
    "ml__recommendations": "Recommending",
    "ml__experiment_results": "Judging experiments",
    "ml__price_recommendations": "Recommending prices",
    "ml__room_scores": "Scoring rooms",
    "ml__unusual_behaviour": "Judging behaviour",
    "predictions": "Publishing predictions",
    "ops__incidents": "Evaluating the alert rules",
    "send_report": "Writing the report",
    "write_export": "Exporting",
    "send_due_messages": "Sending mail",
}

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


def say(sentence: str) -> None:
    _err.print(sentence, soft_wrap=True, markup=False)


def progress() -> Callable[[str], None]:
    """A listener that names each step on standard error as it starts."""
    began = datetime.now()

    def tell(step: str) -> None:
        seconds = (datetime.now() - began).total_seconds()
        table = step.removesuffix("_gate")
        name = STEPS.get(step) or (f"Gate on {table.replace('__', '.', 1)}" if table != step else step)
        _err.print(f"[dim]{seconds:6.1f} s[/dim]  {name}")

    return tell


def counting() -> Callable[[str, int], None]:
    """A listener that says on standard error, every other second, how many records of which file were received."""
    told = datetime.now()

    def tell(locator: str, received: int) -> None:
        nonlocal told
        if (datetime.now() - told).total_seconds() > 2:
            told = datetime.now()
            say(f"{locator}: {received:,} records so far")

    return tell


def show(result: object, as_json: bool, render: Callable[[object], None]) -> None:
    """Print a result: as one JSON document, or as `render` draws it."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=_plain, ensure_ascii=False, indent=2) + "\n")
    else:
        render(result)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _table(title: str, *columns: str) -> Table:
    """A table whose numbers stand to the right: a column's name begins with > for those."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.lstrip(">"), justify="right" if right else "left", no_wrap=right or not table.columns)
    return table


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _ledger(counts: dict) -> str:
    return (
        f"{counts['received']:,} received = {counts['loaded']:,} loaded + {counts['duplicate']:,} duplicate "
        f"+ {counts['quarantined']:,} quarantined + {counts['suppressed']:,} suppressed"
    )


def _messages(outbox: dict) -> str:
    return f"{outbox['sent']} sent, {outbox['pending']} pending, {outbox['dead']} undeliverable"


def _gates(gates: dict) -> str:
    failed = f"[red]{gates['failed']} failed[/red]" if gates["failed"] else "0 failed"
    return (
        f"{gates['passed']} passed, {gates['warned']} warned, {failed}" if any(gates.values()) else "nothing to judge"
    )


def _held(held: list[dict]) -> None:
    for table in held:
        why = escape(f"{table['table_name']} since {_time(table['since'])}: {table['sentence']}")
        _out.print(f"[red]held[/red]    {why}", soft_wrap=True)


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _models(models: list[dict]) -> None:
    if not models:
        _out.print("No model is trained yet.")
        return
    table = _table("Models, out of sample", "model", "measure", ">score", ">baseline", "verdict")
    for model in models:
        metrics = model["metrics"]
        colour = "red" if model["stage"] == "rejected" else "green"
        table.add_row(
            f"{model['name']} {model['version']}",
            metrics["measure"],
            f"{metrics['value']:.3f}",
            f"{metrics['baseline']:.3f}",
            f"[{colour}]{model['stage']}[/{colour}], {escape(model['verdict'])}",
        )
    _out.print(table)


def model_versions(versions: list[dict]) -> None:
    if not versions:
        _out.print("There is no such model: see `./tidemark models list`.")
        return
    table = _table("Versions of models", "model", "stage", "measure", ">score", ">baseline", "why")
    for one in versions:
        metrics, share = one["metrics"], f" {one['share']:.0%}" if one["share"] else ""
        scores = (f"{metrics['value']:.3f}", f"{metrics['baseline']:.3f}")
        table.add_row(one["model_id"], f"{one['stage']}{share}", metrics["measure"], *scores, escape(one["verdict"]))
    _out.print(table)


def compared(result: dict) -> None:
    _out.print(f"{result['shadow']} beside {result['serving']}, on the same: {result['paired']}", soft_wrap=True)
    if result["split"]:
        _out.print(f"each on what it served ({result['share']:.0%}): {result['split']}", soft_wrap=True)
    _out.print(result["decision"])


def loads(result: dict) -> None:
    for load in result["loads"]:
        counts = dataclasses.asdict(load)
        if load.is_repeat:
            _out.print(f"{escape(load.locator)}: loaded before, as load {load.load_id}; nothing to do", soft_wrap=True)
        else:
            _out.print(f"{escape(load.locator)}: {_ledger(counts)}", soft_wrap=True)
    if not result["loads"] and not result["failed"]:
        _out.print("Nothing has arrived.")
    for sentence in result["failed"]:
        say(f"tidemark: {sentence}")


def run(result: dict) -> None:
    verdict = "[green]done[/green]" if result["success"] else "[red]not completed[/red]"
    _out.print(f"{result['job']}: {verdict}   gates: {_gates(result['gates'])}   run {result['run_id'][:8]}")
    for failure in result["failed"]:
        _out.print(f"[red]failed[/red]  {escape(failure['step'])}: {escape(failure['reason'])}", soft_wrap=True)
    for name, sentence in result["models"].items():
        _out.print(f"  {escape(f'{name}: {sentence}')}", soft_wrap=True)
    for sentence in result["files_not_loaded"]:
        _out.print(f"[red]file[/red]    {escape(sentence)}", soft_wrap=True)
    _held(result["held"])


def demo(result: dict) -> None:
    events, incidents = result["events"], result["incidents"]
    _out.print()
    _out.print(f"[bold]Tidemark took {result['seconds']:.0f} s from raw events to a report.[/bold]")
    _out.print()
    if not events["received"]:
        _out.print(f"Events     nothing new: all {result['events_stored']['received']:,} records were received before")
    else:
        _out.print(f"Events     {_ledger(events)}", soft_wrap=True)
    _out.print(f"Tables     {result['tables']} built, all complete up to one tide mark")
    _out.print(f"Gates      {_gates(result['gates'])}")
    _out.print(
        f"Incidents  {incidents['opened']} opened, {incidents['resolved']} of them resolved "
        f"(the sample has {result['planted_incidents']} planted)"
    )
    _out.print(f"Mail       {_messages(result['outbox'])}")
    _out.print()
    _models(result["models"])
    _out.print()
    _out.print("[bold]Open the report:[/bold]")
    _out.print(f"  {result['report']}", soft_wrap=True, markup=False)
    _out.print("[bold]Next:[/bold]  ./tidemark up     the Dagster UI      ./tidemark status")


def _freshness(freshness: dict) -> None:
    if freshness["loads"]:
        stages = (f"{stage} {freshness[stage]['p50']:.1f} / {freshness[stage]['p99']:.1f} s"
                  for stage in ("loaded", "aggregated", "visible") if freshness[stage]["p50"] is not None)  # fmt: skip
        _out.print(f"[bold]Fast lane[/bold]  median / 99th percentile: {', '.join(stages)}")
    if freshness["held"]:
        _out.print(f"[red]held[/red]       minutes: {escape(freshness['held'])}", soft_wrap=True)


def _schema_changes(changes: list[dict]) -> None:
    for row in changes:
        what = escape(f"{row['source']}: {row['field']} of {row['event_type']} {row['detail']}")
        seen = f"seen {_time(row['first_at'])} to {_time(row['last_at'])}"
        colour = "red" if row["is_open"] else "dim"
        _out.print(f"[{colour}]changed[/{colour}]    {what}, {seen}", soft_wrap=True)


def status(result: dict) -> None:
    _out.print(f"[bold]Loads[/bold]      {result['loads']['loads']:,}; {_ledger(result['loads'])}", soft_wrap=True)
    _freshness(result["freshness"])
    _out.print(f"[bold]Gates[/bold]      {_gates(result['gates'])}")
    _held(result["held"])
    for failure in result["unread"]:
        why = escape(f"since {_time(failure['since'])}: {failure['sentence']}")
        _out.print(f"[red]unread[/red]     {why}", soft_wrap=True)
    incidents, outbox = result["incidents"], result["outbox"]
    _out.print(f"[bold]Incidents[/bold]  {incidents['open']} open, {incidents['resolved']} resolved")
    _out.print(f"[bold]Messages[/bold]   {_messages(outbox)}")
    for letter in result["dead_letters"]:
        what = f"{_time(letter['created_at'])}  {letter['recipient']}  {letter['topic']}: {letter['last_error']}"
        _out.print(f"[red]undelivered[/red]  {escape(what)}", soft_wrap=True)
    _schema_changes(result["schema_changes"])
    for row in result["personal_fields"]:
        what = f"{row['source']}: {row['field']} of {row['event_type']} looks like {row['kind']}"
        _out.print(f"[red]personal[/red]   {escape(what)} in {row['hit_rate']:.0%} of a sample: {row['handling']}")
    _out.print()
    table = _table("Tide marks", "table", ">load", "built")
    for row in result["tables"]:
        table.add_row(row["table_name"], _number(row["load_id"]), _time(row["built_at"]))
    _out.print(table)
    _out.print()
    _models(result["models"])


def incidents(result: list[dict]) -> None:
    if not result:
        _out.print("No incident was opened yet.")
    for row in result:
        until = f" to {_time(row['resolved_hour'])}" if row["resolved_hour"] else ""
        state = "[red]open[/red]        " if row["status"] == "open" else f"{row['status']:12}"
        _out.print(
            f"{row['incident_id']:>4}  {state}  {row['severity']:8}  {_time(row['opened_hour'])}{until}  {row['rule']}"
        )
        _out.print(f"      {row['detail']}", soft_wrap=True, markup=False)


def incident(result: dict) -> None:
    incidents([result])
    evidence = result["evidence"]
    for one in evidence.get("contributions", []):
        _out.print(f"      {one['segment']}: {one['value']:,.2f}, usually {one['usual']:,.2f}", markup=False)
    for sentence in evidence.get("coincided", []):
        _out.print(f"      {sentence}", soft_wrap=True, markup=False)
    for row in result["history"]:
        _out.print(f"      {_time(row['at'])}  {row['actor']}  {row['action']}  {row['detail']}", markup=False)
    for row in result["messages"]:
        fate = row["fate"] or row["last_error"] or ""
        _out.print(f"      {_time(row['at'])}  {row['receiver']}  {row['event']}: {row['status']} {fate}", markup=False)


def silence(result: dict) -> None:
    _out.print(f"{result['fingerprint']} is silent until {_time(result['ends_at'])}.", markup=False)


def replayed_rule(result: dict) -> None:
    _out.print(
        f"{result['rule']} would have opened {len(result['incidents'])} incidents ({result['per_week']} a week), open "
        f"for {result['hours_open']} hours, the longest for {result['longest_hours']}; and sent "
        f"{len(result['messages'])} messages.",
        soft_wrap=True,
    )
    for row in result["incidents"]:
        until = f" to {_time(row['resolved_hour'])}" if row["resolved_hour"] else ""
        _out.print(f"  {_time(row['opened_hour'])}{until}  {row['detail']}", soft_wrap=True, markup=False)
    for row in result["messages"]:
        _out.print(f"  {_time(row['at'])}  {row['receiver']}  {row['subject']}", soft_wrap=True, markup=False)
    _out.print(f"Picture: {result['picture']}", soft_wrap=True, markup=False)


def quarantine(result: list[dict]) -> None:
    if not result:
        _out.print("Nothing is in quarantine.")
    for row in result:
        fates = {"replayed": row["replayed_at"], "dropped": row["dropped_at"]}
        fate = "".join(f"  {name} {_time(moment)}" for name, moment in fates.items() if moment)
        _out.print(f"{row['quarantine_id']:>4}  {escape(row['source'])}  [red]{row['reason']}[/red]{fate}")
        _out.print(f"      {row['locator']}:{row['position']}  {row['detail']}", soft_wrap=True, markup=False)


def replays(result: dict) -> None:
    for done in result["replays"]:
        load = f"load {done.load_id}" if done.load_id else "no load"
        counts = f"{done.loaded:,} loaded, {done.duplicate:,} duplicate, {done.refused:,} refused again"
        _out.print(f"{escape(done.source)}: {load}; {counts}", soft_wrap=True)
    if not result["replays"] and not result["failed"]:
        _out.print("Nothing waits in quarantine.")
    for sentence in result["failed"]:
        say(f"tidemark: {sentence}")


def dropped(result: dict) -> None:
    _out.print(f"{result['dropped']:,} dropped.")


def checks(result: list[dict]) -> None:
    for check in result:
        mark = "[green]ok[/green]     " if check["ok"] else "[red]not ok[/red] "
        _out.print(f"{mark} {escape(check['check'])}: {escape(check['detail'])}", soft_wrap=True)


def report(result: dict) -> None:
    for held in result["held"]:
        _out.print(f"[red]held[/red]    {escape(held)}", soft_wrap=True)
    for path in result["paths"].values():
        _out.print(path, soft_wrap=True, markup=False)
    if result["told"]:
        _out.print(f"Told: {', '.join(result['told'])}")
    if result["delivered"] is None:
        _out.print("Sent to nobody")
    elif result["queued"]:
        _out.print(f"Queued for {', '.join(result['queued'])}; {result['delivered']['sent']} message(s) sent")
        if stopped := result["delivered"]["stopped"]:
            _out.print(f"[red]The rest waits[/red]: {escape(stopped)}", soft_wrap=True)
    else:
        _out.print("Its readers have had the report of this period: it was not queued again")


def exported(done) -> None:
    if not done.files:
        _out.print(f"{done.name}: nothing changed since tide mark {done.since}; nothing is exported.", soft_wrap=True)
        return
    manifest = done.manifest
    _out.print(f"{manifest['table']}: {manifest['rows']:,} rows, {manifest['bytes']:,} bytes", soft_wrap=True)
    for file in done.files:
        _out.print(file, soft_wrap=True, markup=False)


def quarantined(record: dict) -> None:
    for name, value in record.items():
        shown = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        _out.print(f"[bold]{name:14}[/bold] {escape(str(shown))}", soft_wrap=True)


def retention_applied(done) -> None:
    if done.as_of is None:
        _out.print("No event is complete yet: nothing can be past its time.")
        return
    for day in done.expired:
        _out.print(f"{day['day']}: {day['rows']:,} events {_fate(day['archive'])}", soft_wrap=True)
    for day, reason in done.waiting.items():
        _out.print(f"{day}: [red]waits[/red], {reason}", soft_wrap=True)
    if not done.expired and not done.waiting:
        _out.print(f"Nothing is past its time as of {_time(done.as_of)}.")


def retention(result: dict) -> None:
    if result["as_of"]:
        _out.print(f"Raw events are kept for {result['keep']} before {_time(result['as_of'])}, then: {result['then']}.")
        _out.print(f"Stored are those of {result['first_day']} to {result['last_day']}.")
    for row in result["expired"]:
        _out.print(f"{row['day']}  {_time(row['expired_at'])}  {row['rows']:>12,} events {_fate(row['archive'])}")
    if not result["expired"]:
        _out.print("No day has expired.")


def _fate(archive: str | None) -> str:
    return f"archived in {archive}" if archive else "dropped"


def restored(manifest: dict) -> None:
    _out.print(f"{manifest['day']}: {manifest['rows']:,} events are back, as they were (digest {manifest['digest']})")


def certificate(told: dict) -> None:
    for place, counts in told["done"].items():
        said = ", ".join(f"{number:,} {what}" for what, number in counts.items() if number)
        _out.print(f"{place}: {said}", soft_wrap=True, markup=False)
    for place, why in told["remaining"].items():
        _out.print(f"[red]remains[/red]  {escape(f'{place}: {why}')}", soft_wrap=True)
    if told["is_complete"]:
        _out.print(f"A search of {len(told['searched'])} tables and {told['files_searched']} files finds nothing more.")
    for note in told["notes"]:
        _out.print(note, soft_wrap=True, markup=False)
    _out.print(f"Certificate: {told['path']}", soft_wrap=True, markup=False)


def verified(result: dict) -> None:
    for place, why in result["found"].items():
        _out.print(f"[red]found[/red]  {escape(f'{place}: {why}')}", soft_wrap=True)
    searched = f"{result['tables_searched']} tables and {result['files_searched']} files were searched again"
    _out.print(
        f"The certificate is signed; {searched}: {'found as above' if result['found'] else 'nothing was found'}."
    )


def replayed_erasures(result: dict) -> None:
    _out.print("Nobody who was erased is here.")


def exported_subject(result: dict) -> None:
    _out.print(
        f"{result['rows']:,} rows of {result['tables']} tables in {result['path']}", soft_wrap=True, markup=False
    )


def audit_holds(result: dict) -> None:
    _out.print(f"All {result['rows']:,} rows of the audit are as they were written.")


def access_applied(done: dict) -> None:
    for what, logins in done.items():
        _out.print(f"{what.capitalize():8} {escape(', '.join(logins)) or '-'}")


def access(shown: dict) -> None:
    """Roles across, relations down: r for what is read, w for what is written, and how many rows a reader sees."""
    roles = list(dict.fromkeys(right["role"] for right in shown["rights"]))
    cells: dict[str, dict[str, str]] = {}
    for right in shown["rights"]:
        marks = "".join(letter for letter, may in (("r", right["reads"]), ("w", right["writes"])) if may)
        rows = "" if right["rows"] is None else f" {right['rows']:,}"
        cells.setdefault(right["relation"], {})[right["role"]] = f"{marks}{rows}"
    table = Table("relation", *(escape(role) for role in roles), box=None)
    for relation, marks in sorted(cells.items()):
        if any(marks.values()):
            table.add_row(relation, *(marks.get(role, "") for role in roles))
    _out.print(table)
    for fault in shown["faults"]:
        _out.print(f"[red]{escape(fault)}[/red]")


def person(found: dict) -> None:
    _out.print(f"{found['pseudonym']} is {escape(found['user_id'])}")
