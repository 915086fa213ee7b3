"""The tidemark command: thin, one function a verb. What a verb does is its stage's; how it looks, console.py's."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from orchestration import console
from orchestration.errors import TidemarkError


class Verbs(click.Group):
    """Lists the verbs in the order in which a newcomer needs them, and tells errors in one sentence."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, context: click.Context):
        try:
            return super().invoke(context)
        except TidemarkError as error:
            if context.params.get("debug"):
                raise
            click.echo(f"tidemark: {error}", err=True)
            sys.exit(1)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def tidemark(debug: bool) -> None:
    """Turns raw events into hourly facts, forecasts, alerts and emailed reports."""


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output, nothing else.")
of_source = click.option("--source", help="Only what is of this source.")
for_reason = click.option("--reason", help="Only what was refused for this reason; docs/events.md lists them.")


@tidemark.command()
@as_json
def demo(as_json: bool) -> None:
    """Run the whole pipeline on 90 days of sample events, and report what happened."""
    from orchestration import demo

    console.show(demo.run(console.progress()), as_json, console.demo)


@tidemark.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def test(arguments: tuple[str, ...]) -> None:
    """Run all tests; further arguments go to pytest."""
    import subprocess

    from orchestration.settings import ROOT

    side_by_side = ["-n", "2", "--dist", "loadfile"] if not arguments else []
    sys.exit(subprocess.run([sys.executable, "-m", "pytest", *side_by_side, *arguments], cwd=ROOT).returncode)


@tidemark.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3000, show_default=True)
def up(host: str, port: int) -> None:
    """Run the database, the Dagster UI, schedules and sensors, until Ctrl-C."""
    from orchestration import up

    up.run(host, port, say=console.say)


@tidemark.command()
@click.argument("source")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@as_json
def ingest(source: str, paths: tuple[Path, ...], as_json: bool) -> None:
    """Load files or folders of events; without PATHS, whatever arrived in the source's folder."""
    from orchestration.ingest import loader

    try:
        loads, failed = loader.ingest(source, list(paths) or None, progress=console.counting()), []
    except loader.NotAllLoaded as error:
        loads, failed = error.loads, list(error.failures.values())
    console.show({"loads": loads, "failed": failed}, as_json, console.loads)
    sys.exit(1 if failed else 0)


@tidemark.command()
@as_json
def refresh(as_json: bool) -> None:
    """Take in what arrived and bring every table up to date."""
    _run("refresh", as_json)


@tidemark.command()
@click.option("--from", "start", required=True, help="The first day or hour, in the tenant's zone unless it names one.")
@click.option("--to", "end", required=True, help="The end, not included.")
@as_json
def rebuild(start: str, end: str, as_json: bool) -> None:
    """Compute a range of hours again, from the events as they are now."""
    span = {"rebuild_from": start, "rebuild_to": end}
    _run("rebuild", as_json, {"raw__events": span})


@tidemark.command()
@as_json
def train(as_json: bool) -> None:
    """Train the models; one replaces the one in service only if it is better."""
    _run("train", as_json)


@tidemark.command()
@as_json
def predict(as_json: bool) -> None:
    """Forecast, detect anomalies and score churn with the models in service."""
    _run("predict", as_json)


@tidemark.group()
def models() -> None:
    """Versions of models: which serves and why; go back, promote, try one beside another."""


of_model = click.argument("model_id")
why = click.option("--reason", default="by hand", show_default=True)


@models.command("list")
@click.argument("name", required=False)
@as_json
def list_models(name: str | None, as_json: bool) -> None:
    """What serves, shadows or served; with NAME every version of that model, rejected ones too."""
    from orchestration.predict import registry

    _on_models(lambda connection: registry.listed(connection, name), as_json)


@models.command()
@click.argument("name")
@why
@as_json
def rollback(name: str, reason: str, as_json: bool) -> None:
    """Put the version of NAME that served before back into service; the present one is rejected."""
    from orchestration.predict import registry

    _on_models(lambda connection: [registry.roll_back(connection, name, reason)], as_json)


@models.command()
@of_model
@why
@as_json
def promote(model_id: str, reason: str, as_json: bool) -> None:
    """Put MODEL_ID into service, whatever its test said."""
    from orchestration.predict import registry

    _on_models(lambda connection: [registry.promote(connection, model_id, reason)], as_json)


@models.command()
@of_model
@click.option("--share", default=0.0, type=click.FloatRange(0, 1, max_open=True), help="Of people or series; 0: none.")
@as_json
def shadow(model_id: str, share: float, as_json: bool) -> None:
    """Have MODEL_ID predict beside the version in service, and serve a share of people or series."""
    from orchestration.predict import registry

    _on_models(lambda connection: [registry.shadow(connection, model_id, share)], as_json)


@models.command()
@of_model
@as_json
def retire(model_id: str, as_json: bool) -> None:
    """End the shadow MODEL_ID."""
    from orchestration.predict import registry

    _on_models(lambda connection: [registry.retire(connection, model_id)], as_json)


@models.command()
@click.argument("name")
@as_json
def compare(name: str, as_json: bool) -> None:
    """The shadow of NAME beside the version in service, on what has come true."""
    import dataclasses

    from orchestration.predict.comparing import compare
    from orchestration.warehouse import database

    with database.connect() as connection:
        console.show(dataclasses.asdict(compare(connection, name)), as_json, console.compared)


def _on_models(act, as_json: bool) -> None:
    """Do something, and show the versions that it gives."""
    import dataclasses

    from orchestration.warehouse import database

    with database.connect() as connection:
        versions = [dataclasses.asdict(model) for model in act(connection)]
    shown = ("model_id", "stage", "share", "verdict", "metrics", "load_id", "data_hash", "code", "seed", "libraries")
    console.show([{key: model[key] for key in shown} for model in versions], as_json, console.model_versions)


def _run(job: str, as_json: bool, config: dict | None = None) -> None:
    """Run a job, show what it did, and exit 1 when it was not completed."""
    from orchestration import instance, summary

    done = summary.of_run(instance.execute(job, config, console.progress()))
    console.show(done, as_json, console.run)
    if not done["success"]:
        sys.exit(1)


@tidemark.command()
@click.argument("name")
@click.option(
    "--for", "period", help="A day, week, month or quarter such as 2026-W10; the newest complete one if left out."
)
@click.option("--to", multiple=True, help="Send it to this address instead; may be repeated.")
@click.option("--preview", "is_preview", is_flag=True, help="Make it with every format, and send it to nobody.")
@click.option(
    "--again", "is_again", is_flag=True, help="Make the kept report of --for again, and prove it is as it was."
)
@as_json
def report(name: str, period: str | None, to: tuple[str, ...], is_preview: bool, is_again: bool, as_json: bool) -> None:
    """Make a report and send it to its readers."""
    import dataclasses

    from orchestration.outbox.delivery import deliver
    from orchestration.reports import delivery

    if ((is_preview or is_again) and to) or (is_preview and is_again):
        raise TidemarkError("Give one of --to, --preview and --again: they say what becomes of the report.")
    if is_again:
        sent = delivery.again(name, period)
    else:
        sent = delivery.preview(name, period) if is_preview else delivery.send(name, list(to) or None, period)
    result = {
        "paths": {file: str(path) for file, path in sent.paths.items()},
        "queued": sent.queued,
        "held": sent.held,
        "told": sent.told,
        "delivered": None if is_preview or is_again else dataclasses.asdict(deliver()),
    }
    console.show(result, as_json, console.report)


@tidemark.command()
@click.argument("table")
@click.option("--format", "form", type=click.Choice(["parquet", "csv", "jsonl", "xlsx"]), default="parquet")
@click.option("--where", multiple=True, help="A condition, as metric=revenue or hour>=2026-03-01; may be repeated.")
@click.option("--since", type=int, help="Only what was computed again for loads after this tide mark.")
@click.option("--to", default="exports", show_default=True, help="A folder under TIDEMARK_HOME, s3://… or sftp://…")
@click.option("--login", help="Read it with the rights of this database login.")
@as_json
def export(
    table: str, form: str, where: tuple[str, ...], since: int | None, to: str, login: str | None, as_json: bool
) -> None:
    """Write TABLE, a view of api or a table of marts, to a file; or make the export of config/exports.yml so named."""
    from orchestration import settings
    from orchestration.exports.export import export

    wanted = settings.exports().get(table) or settings.checked(
        settings.Export, table=table, format=form, where=list(where), to=to, login=login
    )
    tell = console.counting()
    done = export(table, wanted, _me(), since=since, progress=lambda rows: tell(table, rows))
    console.show(done, as_json, console.exported)


@tidemark.group()
def alerts() -> None:
    """Incidents: look at them, answer them; evaluate the rules, and try them on history."""


@alerts.command("list")
@click.option("--limit", default=20, show_default=True)
@as_json
def list_incidents(limit: int, as_json: bool) -> None:
    """The newest incidents."""
    from orchestration.alerts.incidents import recent_incidents
    from orchestration.warehouse import database

    with database.connect("report", rows=True) as connection:
        console.show(recent_incidents(connection, limit), as_json, console.incidents)


@alerts.command()
@as_json
def evaluate(as_json: bool) -> None:
    """Evaluate the rules over the hours that they have not seen; `up` sends what they say."""
    _run("alerts", as_json)


incident_id = click.argument("incident_id", type=int)
lasting = click.option("--for", "lasting", default="4h", show_default=True, help="How long: 30m, 4h or 2d.")


@alerts.command("show")
@incident_id
@as_json
def show_incident(incident_id: int, as_json: bool) -> None:
    """One incident with its likely causes, its history and its messages."""
    from orchestration.alerts import incidents

    _on_incidents(incidents.incident, as_json, incident_id)


@alerts.command()
@incident_id
@as_json
def acknowledge(incident_id: int, as_json: bool) -> None:
    """Say that somebody takes care: it does not escalate any more."""
    from orchestration.alerts import incidents

    _on_incidents(incidents.acknowledge, as_json, incident_id, _me(), _now())


@alerts.command()
@incident_id
@lasting
@as_json
def snooze(incident_id: int, lasting: str, as_json: bool) -> None:
    """Say nothing of an incident for a while; then remind, if it still lasts."""
    from orchestration.alerts import incidents

    _on_incidents(incidents.snooze, as_json, incident_id, _me(), _now(), _now() + _duration(lasting))


@alerts.command()
@incident_id
@click.option("--reason", default="")
@as_json
def resolve(incident_id: int, reason: str, as_json: bool) -> None:
    """Say that an incident is over; if it breaches again soon, it is opened again."""
    from orchestration.alerts import incidents

    _on_incidents(incidents.resolve, as_json, incident_id, _me(), _now(), reason)


@alerts.command()
@incident_id
@click.argument("text")
@as_json
def comment(incident_id: int, text: str, as_json: bool) -> None:
    """Write something into the history of an incident."""
    from orchestration.alerts import incidents

    _on_incidents(incidents.comment, as_json, incident_id, _me(), _now(), text)


@alerts.command()
@click.argument("fingerprint")
@lasting
@click.option("--reason", default="")
@as_json
def silence(fingerprint: str, lasting: str, reason: str, as_json: bool) -> None:
    """Tell nothing for a while of what begins with FINGERPRINT: a rule's name, or more of it."""
    from orchestration import settings
    from orchestration.alerts import incidents
    from orchestration.warehouse import database

    known = settings.alerts().rules
    if (rule := fingerprint.partition("|")[0]) not in known:
        raise TidemarkError(f"There is no rule {rule} to silence: use one of {', '.join(sorted(known))}.")
    with database.connect("report", rows=True) as connection:
        made = incidents.silence(connection, fingerprint, _me(), _now(), _now() + _duration(lasting), reason)
        console.show(made, as_json, console.silence)


@alerts.command("replay")
@click.argument("rule")
@click.option("--from", "start", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]))
@click.option("--to", "end", required=True, type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]), help="Not included.")
@as_json
def replay_rule(rule: str, start: datetime, end: datetime, as_json: bool) -> None:
    """What RULE would have done over history, in the tenant's zone: incidents, messages, and a picture."""
    from orchestration import settings
    from orchestration.alerts.replay import picture, replay
    from orchestration.warehouse import database

    config, zone = settings.alerts(), settings.tenant().zone
    with database.connect("report", rows=True) as connection:
        done = replay(connection, config, rule, start.replace(tzinfo=zone), end.replace(tzinfo=zone))
    console.show(done.summary() | {"picture": str(picture(done, config))}, as_json, console.replayed_rule)


@alerts.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=3001, show_default=True)
def serve(host: str, port: int) -> None:
    """Answer the links in messages, until Ctrl-C; `up` does it too, one port above its own."""
    from orchestration.alerts.endpoint import serve

    serve(host, port)


def _on_incidents(act, as_json: bool, *arguments) -> None:
    """Do something to an incident, and show it as it is then."""
    from orchestration.alerts.incidents import incident
    from orchestration.warehouse import database

    with database.connect("report", rows=True) as connection:
        act(connection, *arguments)
        console.show(incident(connection, arguments[0]), as_json, console.incident)


def _me() -> str:
    import getpass

    return getpass.getuser()


def _now() -> datetime:
    return datetime.now(UTC)


def _duration(text: str) -> timedelta:
    units = {"m": "minutes", "h": "hours", "d": "days"}
    if text[-1:] not in units or not text[:-1].isdecimal() or not 0 < int(text[:-1]) < 10_000:
        raise TidemarkError(f"{text!r} is no length of time: write 30m, 4h or 2d.")
    return timedelta(**{units[text[-1]]: int(text[:-1])})


@tidemark.group()
def quarantine() -> None:
    """Records that were refused, with the reason and the place."""


@quarantine.command("list")
@of_source
@for_reason
@click.option("--limit", default=20, show_default=True)
@as_json
def list_quarantine(source: str | None, reason: str | None, limit: int, as_json: bool) -> None:
    """The newest refused records."""
    from orchestration.ingest.quarantine import Selection, listed
    from orchestration.warehouse import database

    with database.connect("loader") as connection:
        console.show(listed(connection, Selection((), source, reason), limit), as_json, console.quarantine)


@quarantine.command()
@click.argument("quarantine_id", type=int)
@as_json
def show(quarantine_id: int, as_json: bool) -> None:
    """One refused record with its bytes."""
    from orchestration.ingest import quarantine
    from orchestration.warehouse import database

    with database.connect("loader") as connection:
        console.show(quarantine.show(connection, quarantine_id), as_json, console.quarantined)


@quarantine.command()
@click.argument("ids", nargs=-1, type=int)
@of_source
@for_reason
@as_json
def replay(ids: tuple[int, ...], source: str | None, reason: str | None, as_json: bool) -> None:
    """Load what waits in quarantine, or of that IDS, as if it had been right the first time. Twice is once."""
    from orchestration.ingest.quarantine import Selection, replay

    done, failed = replay(Selection(ids, source, reason), console.counting())
    console.show({"replays": done, "failed": failed}, as_json, console.replays)
    sys.exit(1 if failed else 0)


@quarantine.command()
@click.argument("ids", nargs=-1, type=int)
@of_source
@for_reason
@click.option("--yes", is_flag=True, help="Needed unless IDS are given: whatever matches loses its bytes for good.")
@as_json
def drop(ids: tuple[int, ...], source: str | None, reason: str | None, yes: bool, as_json: bool) -> None:
    """Give up what waits in quarantine: its bytes are deleted, its row stays and says so."""
    from orchestration.ingest.quarantine import Selection, drop
    from orchestration.warehouse import database

    if not (ids or yes):
        raise TidemarkError("Without IDS, all that matches is dropped for good: add --yes to say that you mean it.")
    with database.connect("loader") as connection:
        console.show({"dropped": drop(connection, Selection(ids, source, reason))}, as_json, console.dropped)


@tidemark.group()
def retention() -> None:
    """Raw events past their time: let them go, look at what went, put a day back."""


@retention.command()
@as_json
def apply(as_json: bool) -> None:
    """Archive or drop what config/retention.yml no longer keeps; `up` does it every night."""
    from orchestration.privacy import retention

    console.show(retention.apply(), as_json, console.retention_applied)


@retention.command("list")
@as_json
def list_expired(as_json: bool) -> None:
    """What is kept, and the days whose events were archived or dropped."""
    from orchestration.privacy import retention

    console.show(retention.listed(), as_json, console.retention)


@retention.command()
@click.argument("day", type=click.DateTime(["%Y-%m-%d"]))
@as_json
def restore(day: datetime, as_json: bool) -> None:
    """Put the raw events of DAY back from its archive; the next `apply` archives them again."""
    from orchestration.privacy import retention

    console.show(retention.restore(day.date()), as_json, console.restored)


class OrASubject(click.Group):
    """Its own verbs; whatever else comes first is a person's name."""

    def resolve_command(self, context: click.Context, arguments: list[str]):
        if arguments[0] not in self.commands:
            arguments = ["subject", *arguments]
        return super().resolve_command(context, arguments)

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        if arguments and arguments[0].startswith("-") and arguments[0] not in ("-h", "--help"):
            arguments = ["subject", *arguments]
        return super().parse_args(context, arguments)


@tidemark.group(cls=OrASubject)
def erase() -> None:
    """Erase a person: `erase SUBJECT… --reason TEXT`, all SUBJECTs being names of one and the same person."""


@erase.command("subject")
@click.argument("subjects", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why, for the certificate and the audit.")
@as_json
def erase_subject(subjects: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Erase the person who has these names (user_id, mail address), and write the certificate."""
    from orchestration.privacy import erasure

    _certify(erasure.erase(list(subjects), reason, _refreshed), as_json)


@erase.command("verify")
@click.argument("certificate", type=click.Path(path_type=Path))
@as_json
def verify_erasure(certificate: Path, as_json: bool) -> None:
    """Check a certificate's signature, and search everything again."""
    from orchestration.privacy.certificate import verify

    found = verify(certificate)
    console.show(found, as_json, console.verified)
    sys.exit(1 if found["found"] else 0)


@erase.command("replay")
@as_json
def replay_erasures(as_json: bool) -> None:
    """After restoring a backup: erase again whoever is on the suppression list of TIDEMARK_HOME."""
    from orchestration.privacy import erasure

    done = erasure.replay(_refreshed)
    if done is None:
        console.show({"erased": 0}, as_json, console.replayed_erasures)
    else:
        _certify(done, as_json)


def _certify(done, as_json: bool) -> None:
    from orchestration.privacy.certificate import issue

    path, told = issue(done)
    console.show(told | {"path": str(path)}, as_json, console.certificate)
    sys.exit(0 if told["is_complete"] else 1)


def _refreshed() -> bool:
    """Bring every table up to date; say whether no gate held anything back."""
    from orchestration import instance, summary

    return summary.of_run(instance.execute("refresh", None, console.progress()))["success"]


@tidemark.group()
def subject() -> None:
    """A person's own data."""


@subject.command("export")
@click.argument("subjects", nargs=-1, required=True)
@as_json
def export_subject(subjects: tuple[str, ...], as_json: bool) -> None:
    """Write all that is stored about the person who has these names into one archive."""
    from orchestration.privacy.export import export

    console.show(export(list(subjects)), as_json, console.exported_subject)


@tidemark.group()
def audit() -> None:
    """Who read personal data, changed configuration or rights, exported or erased."""


@audit.command("verify")
@as_json
def verify_audit(as_json: bool) -> None:
    """Compute the audit's chain of hashes again: no row was changed or taken away."""
    from orchestration.warehouse import audit, database

    with database.connect() as connection:
        console.show({"rows": audit.verify(connection)}, as_json, console.audit_holds)


@tidemark.group()
def access() -> None:
    """Who may read what: config/access.yml in the database, and the way back from a pseudonym."""


@access.command("apply")
@as_json
def apply_access(as_json: bool) -> None:
    """Bring logins and access list to what config/access.yml says; whatever reads for them does it, too."""
    from orchestration.warehouse import access, database

    with database.connect() as connection:
        console.show(access.apply(connection), as_json, console.access_applied)


@access.command()
@as_json
def check(as_json: bool) -> None:
    """What each role and login can read and write, how many rows, and whatever is not as it should be."""
    import dataclasses

    from orchestration.warehouse import access, database

    with database.connect() as connection:
        rights, faults = access.check(connection), access.faults(connection)
    shown = {"rights": [dataclasses.asdict(right) for right in rights], "faults": faults}
    console.show(shown, as_json, console.access)
    sys.exit(1 if faults else 0)


@access.command()
@click.argument("pseudonym")
@click.option("--reason", required=True, help="Why; the audit keeps it.")
@as_json
def reidentify(pseudonym: str, reason: str, as_json: bool) -> None:
    """Say who is behind PSEUDONYM. That it was asked is in the audit before there is an answer."""
    from orchestration.warehouse import access

    console.show({"pseudonym": pseudonym, "user_id": access.person_behind(pseudonym, reason)}, as_json, console.person)


@tidemark.command()
@as_json
def status(as_json: bool) -> None:
    """What stands in the warehouse: loads, tide marks, gates, models, incidents, messages."""
    from orchestration import summary
    from orchestration.warehouse import database

    with database.connect("dagster", rows=True) as connection:
        console.show(summary.status(connection), as_json, console.status)


@tidemark.command()
@as_json
def doctor(as_json: bool) -> None:
    """Check the machine, the configuration, the database, the mail server and the sources."""
    from orchestration import doctor

    checks = doctor.examine()
    console.show(checks, as_json, console.checks)
    sys.exit(0 if all(check["ok"] for check in checks) else 1)


if __name__ == "__main__":
    tidemark(prog_name="tidemark")
