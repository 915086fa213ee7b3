"""Reports are what `config/reports.yml` says: schedules on the right clock, and mistakes told in one sentence."""

import shutil

import dagster as dg
import pytest

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions
from orchestration.reports.jobs import report
from orchestration.reports.schedules import schedule


@pytest.fixture
def config(home, tmp_path, monkeypatch):
    """Writes config/reports.yml beside the shipped files: `config(text)`."""
    folder = tmp_path / "config"
    shutil.copytree(settings.ROOT / "config", folder)
    monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
    return (folder / "reports.yml").write_text


ENTRY = "reports:\n  weekly:\n    template: {template}\n    cron: '{cron}'\n    recipients: [{recipient}]\n"


def test_the_executive_report_ships_and_goes_out_on_mondays(home):
    assert definitions.available() == ["executive"]
    made = schedule("executive", definitions.definition("executive"), settings.tenant().timezone)
    assert (made.name, made.cron_schedule, made.execution_timezone) == (
        "report_executive",
        "0 7 * * 1",
        "Europe/Berlin",
    )
    assert made.job_name == "report" and made.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_report_may_have_a_clock_of_its_own(home):
    wanted = definitions.definition("executive").model_copy(update={"timezone": "America/New_York"})
    assert schedule("executive", wanted, "UTC").execution_timezone == "America/New_York"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"cron": "every monday"}, r"reports.yml:4 reports.weekly.cron: 'every monday' is not a cron schedule"),
        ({"recipient": "nobody"}, r"reports.yml:5 reports.weekly.recipients.0: "),
        ({"template": "../../etc"}, r"reports.yml:3 reports.weekly.template: "),
    ],
)
def test_a_mistake_is_told_with_its_line(config, entry, sentence):
    config(ENTRY.format(**{"template": "executive", "cron": "0 7 * * 1", "recipient": "a@example.com"} | entry))
    with pytest.raises(TidemarkError, match=sentence):
        definitions.available()


def test_an_unknown_template_is_told_with_the_known_ones(config):
    config(ENTRY.format(template="cosmic", cron="0 7 * * 1", recipient="a@example.com"))
    with pytest.raises(TidemarkError, match=r"no report template 'cosmic': .* executive"):
        definitions.queries(definitions.definition("weekly").template)


def test_the_job_renders_queues_and_records_where_the_files_are(published):
    config = {"name": "executive", "to": ["ann@example.com"]}
    result = report.execute_in_process(run_config={"ops": {"send_report": {"config": config}}})
    assert result.success
    (event,) = result.filter_events(lambda event: event.event_type_value == "ASSET_MATERIALIZATION")
    metadata = event.materialization.metadata
    assert event.asset_key == dg.AssetKey(["reports", "executive"])
    assert metadata["queued"].value == 1 and metadata["report.pdf"].value.endswith("executive/2026-W10/report.pdf")
    published.rollback()
    assert published.execute("select recipient from ops.outbox").fetchall() == [("ann@example.com",)]
