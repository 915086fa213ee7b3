"""From a template and a snapshot to a document: which sentences, figures, charts and tables a report has."""

from collections.abc import Mapping
from functools import partial

from orchestration.errors import TidemarkError
from orchestration.reports import charts, facts, figures, template
from orchestration.reports.charts import Bar, Expected, Point
from orchestration.reports.document import Chart, Column, Document, Fact, Plot, Sentence, Table, Tile
from orchestration.reports.figures import Form
from orchestration.reports.snapshot import Row, Snapshot
from orchestration.reports.template import ChartSpec, Label, Part, Says, TableSpec, Template, TileSpec

WIDE = 1  # how many of the metrics have a chart as wide as the page
BEFORE = {"day": "the day before", "week": "the week before", "month": "the month before"}
BEFORE |= {"quarter": "the quarter before"}


class Content:
    """What one report says: the rows that its sentences, charts and tables are made of, and how they are shown."""

    def __init__(self, wanted: Template, seen: Snapshot, form: Form):
        self.template, self.seen, self.form = wanted, seen, form
        self.standard = template.standard() if wanted.metrics else Part()
        self.columns: Mapping[str, Label] = template.columns() | self.standard.columns | wanted.columns
        period = seen.period
        self.words = {
            "period": form.days(period.first, period.last),
            "before": BEFORE[period.grain],
            "grain": period.grain,
            "parameters": seen.parameters,
        }

    def document(self) -> Document:
        """The whole report. Raises TidemarkError where its template is wrong, and `NoData` for an empty chart."""
        parts = (self.standard, self.template)
        return Document(
            title=self.template.title,
            headline=self._headline(),
            findings=[said for part in parts for spec in part.findings for said in self._say(spec)],
            actions=[said for part in parts for spec in part.actions for said in self._say(spec)],
            tiles=[tile for part in parts for spec in part.tiles for tile in self._tiles(spec)][:4],
            charts=self._metric_charts() + [one for part in parts for spec in part.charts for one in self._chart(spec)],
            charts_note=self._charts_note(),
            tables=self._tables(),
            notes=self._notes(),
        )

    def rows(self, query: str) -> list[Row]:
        """What a query answered; nothing where it could not be asked."""
        if query not in self.seen.rows:
            raise TidemarkError(f"The template has no query {query!r}: correct {self.template.title}'s template.yml.")
        return self.seen.rows[query] or []

    def _say(self, spec: Says) -> list[Sentence]:
        rows = self.rows(spec.of)
        return [
            facts.say(spec.says, self.words | facts.scope(spec.of, rows, self.columns, self.form, at))
            for at in range(min(len(rows), spec.most))
        ]

    def _headline(self) -> Sentence:
        spec = self.template.headline or Says(of="lead", says="{{ metric }} {{ change_rate | moved }} {{ value }}")
        said = self._say(spec)
        if not said:
            raise NoData(f"the headline has nothing to say: {spec.of} has no rows")
        return said[0]

    def _fact(self, query: str, at: int, column: str) -> Fact:
        return facts.fact(f"{query}[{at}]", self.rows(query)[at], column, self.columns, self.form)

    def _tiles(self, spec: TileSpec) -> list[Tile]:
        rows = self.rows(spec.of)
        return [
            Tile(
                label=self._fact(spec.of, at, spec.label).text if spec.label in row else spec.label,
                value=self._fact(spec.of, at, spec.value),
                change=self._fact(spec.of, at, spec.change) if spec.change else None,
            )
            for at, row in enumerate(rows[: spec.most])
            if row[spec.value] is not None
        ]

    # Charts

    def _charts_note(self) -> str:
        if not self.template.metrics:
            return ""
        period = self.seen.period
        marks = {
            "anomalies": "a ring marks a day with unusual hours",
            "incidents": "a triangle marks the day an incident opened",
            "restated_days": "a square marks a day whose final figure was changed later",
        }
        days = self.rows("daily")
        parts = [f"By day; the shaded days are {self.form.days(period.first, period.last)}"]
        parts += [words for query, words in marks.items() if self._marked(query)]
        if any(not row["is_final"] for row in days):
            parts.append("hollow dots are days that are not final")
        return "; ".join(parts) + "."

    def _marked(self, query: str) -> set:
        return {(row["metric"], row["day"]) for row in self.rows(query)} & {
            (row["metric"], row["day"]) for row in self.rows("daily") if row["metric"] in self.template.metrics
        }

    def _metric_charts(self) -> list[Chart]:
        """A chart of days for each of the template's metrics. One without any figure is no chart: nothing is held."""
        at = {row["metric"]: number for number, row in enumerate(self.rows("summary"))} if self.template.metrics else {}
        shown = [metric for metric in self.template.metrics if metric in at and self._points(metric)]
        if self.template.metrics and not shown:
            raise NoData("no metric of the report has a day to show")
        return [self._metric_chart(metric, at[metric], is_wide=place < WIDE) for place, metric in enumerate(shown)]

    def _points(self, metric: str) -> list[Point]:
        points = [
            Point(row["day"], None if row["value"] is None else float(row["value"]), row["is_final"])
            for row in self.rows("daily")
            if row["metric"] == metric
        ]
        return points if any(point.is_final and point.value is not None for point in points) else []

    def _metric_chart(self, metric: str, at: int, *, is_wide: bool) -> Chart:
        row, points = self.rows("summary")[at], self._points(metric)
        forecast = [Expected.of(one) for one in self.rows("forecast") if one["metric"] == metric]
        series = charts.Daily(
            points=points,
            unit=row["unit"],
            form=self.form,
            first=self.seen.period.first,
            last=self.seen.period.last,
            forecast=forecast,
            unusual=self._days("anomalies", metric),
            incidents=self._days("incidents", metric),
            restated=self._days("restated_days", metric),
        )
        last = next(point for point in reversed(points) if point.is_final and point.value is not None)
        unit = UNITS.get(row["unit"], "of a day").format(currency=self.form.currency)
        newest = self.form.figure(last.value, row["unit"])
        known = self.words | facts.scope("summary", self.rows("summary"), self.columns, self.form, at)
        return Chart(
            name=metric,
            title=facts.say("{{ metric }} {{ change_rate | moved }} {{ value }}", known),
            subtitle=f"{unit}; dashed: forecast with its 80 % and 95 % intervals" if forecast else unit,
            alt=f"{figures.label(metric)} by day up to {self.form.day(last.day)}, a line that ends at {newest}.",
            draw=partial(charts.daily, series, is_wide=is_wide),
            plot=_daily_plot(points, forecast, row["unit"]),
            is_wide=is_wide,
        )

    def _days(self, query: str, metric: str) -> frozenset:
        return frozenset(row["day"] for row in self.rows(query) if row["metric"] == metric)

    def _chart(self, spec: ChartSpec) -> list[Chart]:
        rows = [row for row in self.rows(spec.of) if row[spec.value] is not None]
        if not rows:
            if spec.optional:
                return []
            raise NoData(f"the chart of {spec.of} has no data")
        newest = len(rows) - 1 if spec.kind == "line" else 0
        known = self.words | facts.scope(spec.of, rows, self.columns, self.form, newest)
        title = facts.say(spec.title, known)
        draw, plot = (self._bars if spec.kind == "bars" else self._line)(spec, rows)
        shown = [f"{row[0]} {row[1]}" for row in plot.rows[:3]]
        return [
            Chart(
                name=f"{spec.of}_{spec.value}",
                title=title,
                subtitle=spec.subtitle,
                alt=f"{'Bars' if spec.kind == 'bars' else 'A line'}: {title.text}. It begins with {', '.join(shown)}.",
                draw=draw,
                plot=plot,
                is_wide=True,
            )
        ]

    def _bars(self, spec: ChartSpec, rows: list[Row]) -> tuple:
        unit = facts.unit_of(spec.value, rows[0][spec.value], self.columns, rows[0])
        bars = [
            Bar(
                name=facts.fact(spec.of, row, spec.axis, self.columns, self.form).text,
                value=float(row[spec.value]),
                text=facts.fact(spec.of, row, spec.value, self.columns, self.form).text,
                beside=_float(row, spec.beside),
                lo=_float(row, spec.lo),
                hi=_float(row, spec.hi),
            )
            for row in rows[: spec.most]
        ]
        heads = [self._label(column) for column in (spec.axis, spec.value, *([spec.beside] if spec.beside else []))]
        body = [[bar.name, bar.value, *([bar.beside] if spec.beside else [])] for bar in bars]
        beside = self._label(spec.beside) if spec.beside else ""
        return partial(charts.bars, bars, unit, self.form, beside), Plot("bar", heads, body, unit)

    def _line(self, spec: ChartSpec, rows: list[Row]) -> tuple:
        unit = facts.unit_of(spec.value, rows[0][spec.value], self.columns, rows[0])
        points = [Point(row[spec.axis], float(row[spec.value]), row.get("is_final", True)) for row in rows]
        period = self.seen.period
        series = charts.Daily(points, unit, self.form, period.first, period.last)
        heads = [self._label(spec.axis), self._label(spec.value)]
        return partial(charts.daily, series, is_wide=True), Plot(
            "line", heads, [[p.day, p.value] for p in points], unit
        )

    # Tables and notes

    def _tables(self) -> list[Table]:
        specs = [*self.standard.tables, *self.template.tables]
        tables = [self._table(spec.of, spec, self.rows(spec.of)) for spec in specs if self.rows(spec.of)]
        return ([self._restated()] if self.seen.sent else []) + tables

    def _label(self, column: str) -> str:
        return self.columns.get(column, Label()).label or figures.label(column)

    def _table(self, name: str, spec: TableSpec, rows: list[Row]) -> Table:
        columns = [column for column in spec.columns if any(row[column] is not None for row in rows)]
        lines = [
            [facts.fact(f"{name}[{at}]", row, column, self.columns, self.form) for column in columns]
            for at, row in enumerate(rows)
        ]
        heads = [
            Column(column, self._label(column), all(line[place].unit in RIGHT for line in lines))
            for place, column in enumerate(columns)
        ]
        has_moments = any(one.unit == "moment" for one in lines[0])
        notes = [
            spec.note,
            f"Times are those of {self.form.zone.key}." if has_moments else "",
            f"The first {spec.most} of {self.form.figure(len(rows), 'count')} rows; workbook and CSV have all."
            if len(rows) > spec.most
            else "",
        ]
        return Table(name, spec.title, heads, lines, spec.most, " ".join(filter(None, notes)))

    def _restated(self) -> Table:
        """The figures that this reader was sent and that have changed since."""
        columns = ["metric", "start_date", "was", "value", "cause", "load_id"]
        spec = TableSpec(of="sent", title="Figures you were sent that have changed since", columns=columns)
        return self._table("sent", spec, self.seen.sent)

    def _notes(self) -> list[str]:
        seen, period = self.seen, self.seen.period
        notes = [
            f"This is about {self.form.days(period.first, period.last)}; days begin at midnight in {seen.timezone}.",
            *(said.text for part in (self.standard, self.template) for spec in part.notes for said in self._say(spec)),
        ]
        if seen.login:
            notes.append(f"It shows what {seen.login} may see.")
        for name, value in seen.parameters.items():
            if value is not None:
                notes.append(f"{figures.label(name)}: {value}.")
        if mark := {row["table_name"]: row for row in seen.marks}.get("views.metric_daily"):
            built = self.form.moment(mark["built_at"])
            notes.append(f"Tide mark: complete up to load {self.form.figure(mark['load_id'], 'count')}, built {built}.")
        return notes


class NoData(Exception):
    """A chart that must not be empty is: the report is held back. Its text says which, after `because`."""


UNITS = {"count": "a day", "money": "{currency} a day", "score": "of 100, mean of a day", "rate": "of a day"}
RIGHT = {*facts.FIGURES, "change"}


def _float(row: Row, column: str | None) -> float | None:
    return float(row[column]) if column and row[column] is not None else None


def _daily_plot(points: list[Point], forecast: list[Expected], unit: str) -> Plot:
    rows = [[point.day, point.value, None, None, None] for point in points]
    rows += [[one.day, None, one.yhat, one.lo_95, one.hi_95] for one in forecast]
    if not forecast:
        return Plot("line", ["Day", "Value"], [row[:2] for row in rows], unit)
    return Plot("line", ["Day", "Value", "Forecast", "95 % from", "95 % to"], rows, unit)
