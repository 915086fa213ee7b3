"""Reports are what `config/reports.yml` says, as it is at each tick; mistakes are told with their line."""

import shutil
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import definitions, facts, plain, template
from orchestration.reports.document import Column, Fact, Table
from orchestration.reports.figures import Form
from orchestration.reports.sensors import due, last_time
from orchestration.reports.snapshot import READS, Period

FORM = Form(ZoneInfo("Europe/Berlin"), "EUR")
ENTRY = """allow: [example.com]
reports:
  weekly:
    template: {template}
    parameters: {parameters}
    cron: '{cron}'
    recipients: [{recipient}]
"""
GOOD = {"template": "seller", "parameters": "{seller: s1}", "cron": "0 7 * * 1", "recipient": "a@example.com"}


@pytest.fixture
def config(home, tmp_path, monkeypatch):
    """Writes config/reports.yml beside the shipped files: `config(text)`."""
    folder = shutil.copytree(settings.ROOT / "config", tmp_path / "config")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(folder))
    return (folder / "reports.yml").write_text


def test_every_template_is_read_has_a_report_and_its_queries(home):
    definitions.check()
    shipped = settings.reports().reports
    assert {report.template for report in shipped.values()} == set(template.names()) and len(shipped) == 12
    for name in template.names():
        shape = template.read(name)
        specs = [*shape.findings, *shape.actions, *shape.tiles, *shape.charts, *shape.tables]
        assert {spec.of for spec in specs} <= set(template.queries(name)), name


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"cron": "every monday"}, r"reports.yml:6 reports.weekly.cron: 'every monday' is not a cron schedule"),
        ({"cron": "0 0 31 2 *"}, r"reports.yml:6 reports.weekly.cron: '0 0 31 2 \*' is no time that comes"),
        ({"recipient": "nobody"}, r"reports.yml:7 reports.weekly.recipients.0.*address"),
        ({"recipient": "eve@evil.example"}, r"reports.yml:7 .*eve@evil.example may not be sent reports"),
        ({"recipient": "{address: a@example.com, locale: xx_YY}"}, r"reports.yml:7 .*'xx_YY' is not a locale"),
        ({"recipient": "{address: a@example.com, formats: [docx]}"}, r"reports.yml:7 .*formats"),
        ({"recipient": "{address: a@example.com, login: 'a; drop'}"}, r"reports.yml:7 .*login"),
        ({"template": "sellers"}, r"reports.yml:4 reports.weekly.template: there is no template 'sellers'"),
        ({"parameters": "{buyer: x}"}, r"reports.yml:5 reports.weekly.parameters.buyer: .* it takes seller"),
    ],
)
def test_a_mistake_is_told_with_its_line(config, entry, sentence):
    config(ENTRY.format(**GOOD | entry))
    with pytest.raises(TidemarkError, match=sentence):
        due(datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC))


def test_a_report_is_due_once_its_time_came_on_its_own_clock(config):
    config(ENTRY.format(**GOOD))
    seven = datetime(2026, 3, 9, 6, tzinfo=UTC)  # 07:00 in Berlin
    assert due(seven.replace(hour=5), seven) == {"weekly": seven}
    assert due(seven, seven.replace(hour=9)) == {}
    assert due(seven.replace(day=1), seven.replace(day=30)).keys() == {"weekly"}  # after a pause, once
    config(ENTRY.format(**GOOD) + "    timezone: America/New_York\n")  # seen by the next tick
    assert due(seven, seven.replace(hour=12)) == {"weekly": datetime(2026, 3, 9, 11, tzinfo=UTC)}


def test_a_schedule_keeps_its_hour_when_the_clock_is_set(config):
    config(ENTRY.format(**GOOD | {"cron": "30 2 * * *"}))
    wanted = settings.reports().reports["weekly"]
    before = last_time("weekly", wanted, "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert before.astimezone(UTC) == datetime(2026, 3, 28, 1, 30, tzinfo=UTC)
    after = last_time("weekly", wanted, "Europe/Berlin", datetime(2026, 3, 30, 12, tzinfo=UTC))
    assert after.astimezone(UTC) == datetime(2026, 3, 30, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("2026-W10", date(2026, 3, 2), date(2026, 3, 8)),
        ("2026-W53", date(2026, 12, 28), date(2027, 1, 3)),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2026-03-08", date(2026, 3, 8), date(2026, 3, 8)),
    ],
)
def test_periods_have_names(name, first, last):
    period = Period.named(name)
    assert (period.first, period.last, period.name) == (first, last, name)
    assert Period.newest(period.grain, last) == period
    assert Period.newest(period.grain, date.fromordinal(last.toordinal() - 1)).last < first


def test_what_is_no_period_is_refused():
    for name in ("2025-W53", "2026-13", "2026-02-30", "last week", "2026-W1"):
        with pytest.raises(TidemarkError, match="is no period"):
            Period.named(name)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1234567, "count", "1,234,567"), (12.5, "money", "EUR 12.50"), (48213.4, "money", "EUR 48,213"),
        (-3.2, "money", "EUR −3.20"), (78.44, "score", "78.4"), (0.00417, "rate", "0.42 %"), (182.4, "ms", "182 ms"),
        (45000, "seconds", "12.5 h"), (90, "seconds", "1.5 min"), (12, "seconds", "12 s"), (0.71339, "number", "0.713"),
        (None, "money", "–"),
    ],
)  # fmt: skip
def test_figures_are_short_and_have_their_unit(value, unit, shown):
    assert FORM.figure(value, unit).replace("\u00a0", " ") == shown


def test_a_locale_gives_its_marks_and_another_currency_its_name():
    assert Form(FORM.zone, "EUR", "de_DE").figure(1234.5, "score") == "1.234,5"
    assert Form(FORM.zone, "EUR", "fr_FR").figure(1234567, "count") == "1\u00a0234\u00a0567"
    assert FORM.figure(3, "money", "USD") == "USD\u00a03.00"
    assert FORM.change(0.12345) == "+12.3\u00a0%" and FORM.change(-0.0001) == "0.0\u00a0%"


def test_a_locale_writes_its_dates():
    sunday, german = date(2026, 3, 8), Form(FORM.zone, "EUR", "de_DE")
    assert (FORM.day(sunday), german.day(sunday)) == ("Sun 8 March 2026", "So., 8. März 2026")
    assert (FORM.days(date(2026, 3, 2), sunday), FORM.days(sunday, sunday)) == ("2–8 March 2026", "Sun 8 March 2026")
    assert FORM.days(date(2025, 12, 29), date(2026, 1, 4)) == "29 December 2025 – 4 January 2026"
    assert german.days(date(2026, 3, 2), sunday) == "2.–8. März 2026"
    moment = datetime(2026, 3, 8, 13, 5, tzinfo=UTC)
    assert (FORM.moment(moment), german.hour(moment)) == ("Sun 8 March 2026, 14:05 CET", "So., 8. März 2026, 14:05")
    assert (FORM.tick(sunday), german.tick(sunday), german.weekday(sunday)) == ("8 Mar", "8. März", "So")


def test_a_sentence_without_a_figure_is_refused():
    row = {"name": "x", "value": 3}
    known = facts.scope("query", [row], {}, FORM)
    said = facts.say("{{ name }} has {{ value | plural('room') }}", known)
    assert said.text == "x has 3\u00a0rooms" and [fact.source for fact in said.facts] == [
        "query[0].name",
        "query[0].value",
    ]
    with pytest.raises(TidemarkError, match="rests on no figure"):
        facts.say("{{ name }} did well", known)
    with pytest.raises(TidemarkError, match="A report cannot say"):
        facts.say("{{ nothing }} {{ value }}", known)


def test_the_text_part_is_76_columns_wide_and_cuts_nothing():
    cells = [Fact("word " * 30, "text", "word " * 30), Fact(1234, "count", "1,234"), Fact("y" * 90, "text", "y" * 90)]
    columns = [Column("a", "A", False), Column("b", "B", True), Column("c", "C", False)]
    shown = plain.table(Table("t", "T", columns, [cells], shown=5))
    assert max(map(len, shown.splitlines())) <= 76
    assert shown.count("word") == 30 and shown.count("y") == 90 and "1,234" in shown


def test_dbt_knows_what_each_template_reads(home):
    told = yaml.safe_load((settings.ROOT / "dbt_project" / "models" / "api" / "_reports.yml").read_text())["exposures"]
    known = {one["name"]: {ref.split("'")[1].replace("api_", "api.", 1) for ref in one["depends_on"]} for one in told}
    reads = {
        f"{name}_report": set(READS.findall(" ".join(template.queries(name).values()))) for name in template.names()
    }
    assert known == reads
