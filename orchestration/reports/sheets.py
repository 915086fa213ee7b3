"""A report as a workbook with native types and charts, and its tables as CSV. What is in them, the document says."""

import csv
from datetime import UTC, date, datetime
from decimal import Decimal
from io import BytesIO, StringIO

from orchestration.reports import figures
from orchestration.reports.document import Chart, Document, Fact, Plot, Table, Value
from orchestration.reports.figures import Form

FORMATS = {
    "count": "#,##0.###",
    "money": "#,##0.00",
    "score": "0.0",
    "seconds": "[h]:mm:ss",
    "rate": "0.00%",
    "change": "+0.0%;-0.0%;0.0%",
    "ms": '#,##0" ms"',
    "number": "#,##0.###",
    "day": "yyyy-mm-dd",
    "moment": "yyyy-mm-dd hh:mm",
}
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run
SECONDS = 86_400  # a workbook counts time in days


def tables(shown: Table, form: Form) -> bytes:
    """One table as CSV (RFC 4180), all of its rows: points before decimals, times with offset, formulas defused."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(
        [_defused(_head(column.label, [row[at] for row in shown.rows])) for at, column in enumerate(shown.columns)]
    )
    writer.writerows([[_plain(one, form) for one in row] for row in shown.rows])
    return text.getvalue().encode()


def _plain(one: Fact, form: Form) -> str:
    if one.value is None:
        return ""
    if isinstance(one.value, datetime):
        return one.value.astimezone(form.zone).isoformat()
    if isinstance(one.value, bool):
        return "true" if one.value else "false"
    if isinstance(one.value, Decimal):
        return f"{one.value:f}"
    return _defused(one.value) if isinstance(one.value, str) else str(one.value)


def _defused(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def _head(label: str, facts: list[Fact]) -> str:
    """A column's name with its unit, where a number alone would not say it."""
    units = {one.unit for one in facts if one.value is not None}
    currencies = {one.currency for one in facts if one.unit == "money"}
    if units == {"money"} and len(currencies) == 1:
        return f"{label} ({currencies.pop()})"
    return f"{label} (s)" if units == {"seconds"} else f"{label} (ms)" if units == {"ms"} else label


def workbook(document: Document, form: Form, about: dict[str, str], made_at: datetime) -> bytes:
    """All of a report: what it says with the figures behind it, its charts as charts, its tables with native types.

    Times are those of the reader's zone, which `about` names: a workbook knows none. The same document gives the same
    bytes.
    """
    import xlsxwriter

    file = BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options | {"nan_inf_to_errors": True}) as book:
        book.set_properties({"title": document.title, "created": made_at.astimezone(UTC).replace(tzinfo=None)})
        looks = {unit: book.add_format({"num_format": shape, "valign": "top"}) for unit, shape in FORMATS.items()}
        looks |= {
            "text": book.add_format({"valign": "top"}),
            "wrapped": book.add_format({"text_wrap": True, "valign": "top"}),
            "head": book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"}),
            "title": book.add_format({"bold": True, "font_size": 15}),
        }
        _front(book.add_worksheet("Report"), document, about, looks)
        if document.charts:
            _charts(book, document.charts, looks)
        for shown in document.tables:
            _table(book.add_worksheet(_sheet_name(shown.name)), shown, form, looks)
        _behind(book.add_worksheet("Behind the sentences"), document, form, looks)
    return file.getvalue()


def _sheet_name(name: str) -> str:
    return figures.label(name)[:31]


def _front(sheet, document: Document, about: dict[str, str], looks: dict) -> None:
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    sheet.hide_gridlines(2)
    sheet.write_string(0, 0, document.headline.text, looks["title"])
    lines = [("", ""), *about.items(), ("", "")]
    lines += [("Findings" if not n else "", one.text) for n, one in enumerate(document.findings)]
    lines += [("What to do" if not n else "", one.text) for n, one in enumerate(document.actions)]
    lines += [("Where it comes from" if not n else "", one) for n, one in enumerate(document.notes)]
    for row, (name, text) in enumerate(lines, start=1):
        sheet.write_string(row, 0, name, looks["wrapped"])
        sheet.write_string(row, 1, text, looks["wrapped"])


def _table(sheet, shown: Table, form: Form, looks: dict) -> None:
    sheet.freeze_panes(1, 1)
    for at, column in enumerate(shown.columns):
        cells = [row[at] for row in shown.rows]
        sheet.write_string(0, at, _head(column.label, cells), looks["head"])
        widest = max(len(one.text) for one in cells[:200])
        sheet.set_column(at, at, min(max(10, widest + 2, len(column.label) // 2 + 4), 60))
    for number, row in enumerate(shown.rows, start=1):
        for at, one in enumerate(row):
            _write(sheet, number, at, one, form, looks)
    sheet.autofilter(0, 0, len(shown.rows), len(shown.columns) - 1)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _write(sheet, row: int, column: int, one: Fact, form: Form, looks: dict) -> None:
    """One value in its own type; text never as a formula or a link."""
    value, look = one.value, looks.get(one.unit, looks["text"])
    if value is None:
        sheet.write_blank(row, column, None, look)
    elif isinstance(value, bool):
        sheet.write_boolean(row, column, value, look)
    elif isinstance(value, datetime):
        sheet.write_datetime(row, column, value.astimezone(form.zone).replace(tzinfo=None), look)
    elif isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), look)
    elif isinstance(value, str):
        sheet.write_string(row, column, one.text if one.unit == "metric" else value, look)
    else:
        sheet.write_number(row, column, float(value) / (SECONDS if one.unit == "seconds" else 1), look)


def _behind(sheet, document: Document, form: Form, looks: dict) -> None:
    """Every sentence with the values it rests on, and the query each came from."""
    sheet.freeze_panes(1, 0)
    for at, (head, width) in enumerate((("Sentence", 80), ("Shown", 24), ("Value", 18), ("Query", 36))):
        sheet.set_column(at, at, width)
        sheet.write_string(0, at, head, looks["head"])
    said = [document.headline, *document.findings, *document.actions, *(chart.title for chart in document.charts)]
    row = 1
    for sentence in said:
        for one in sentence.facts:
            sheet.write_string(row, 0, sentence.text, looks["wrapped"])
            sheet.write_string(row, 1, one.text, looks["text"])
            _write(sheet, row, 2, one, form, looks)
            sheet.write_string(row, 3, one.source, looks["text"])
            row += 1


def _charts(book, shown: list[Chart], looks: dict) -> None:
    """Charts that the program draws itself, from a sheet of their figures."""
    sheet, data = book.add_worksheet("Charts"), book.add_worksheet("Chart data")
    sheet.hide_gridlines(2)
    column = 0
    for number, chart in enumerate(shown):
        _chart_data(data, column, chart, looks)
        made = _chart(book, chart, column)
        sheet.insert_chart(number // 2 * 18, number % 2 * 9, made, {"object_position": 1, "description": chart.alt})
        column += len(chart.plot.columns) + 1


def _chart_data(sheet, column: int, chart: Chart, looks: dict) -> None:
    plot = chart.plot
    sheet.set_column(column, column, 14)
    for at, head in enumerate(plot.columns):
        sheet.write_string(0, column + at, f"{head}: {figures.label(chart.name)}" if at else head, looks["head"])
    for row, values in enumerate(plot.rows, start=1):
        for at, value in enumerate(values):
            _write_plain(sheet, row, column + at, value, plot, looks)


def _write_plain(sheet, row: int, column: int, value: Value, plot: Plot, looks: dict) -> None:
    if isinstance(value, date):
        sheet.write_datetime(row, column, datetime(value.year, value.month, value.day), looks["day"])
    elif isinstance(value, str):
        sheet.write_string(row, column, value, looks["text"])
    elif value is not None:
        number = float(value) / (SECONDS if plot.unit == "seconds" else 1)
        sheet.write_number(row, column, number, looks.get(plot.unit, looks["text"]))


def _chart(book, chart: Chart, column: int):
    from orchestration.reports.charts import BLUE, GRID, INK, MUTED, VERMILION

    plot = chart.plot
    made = book.add_chart({"type": plot.kind})
    last = len(plot.rows)
    looks = [{"color": BLUE, "width": 2}, {"color": VERMILION, "width": 2, "dash_type": "dash"}]
    looks += [{"color": MUTED, "width": 1}] * 3
    for at in range(1, len(plot.columns)):
        series = {
            "name": plot.columns[at],
            "categories": ["Chart data", 1, column, last, column],
            "values": ["Chart data", 1, column + at, last, column + at],
            "line": looks[at - 1],
        }
        if plot.kind == "bar":
            series |= {"fill": {"color": (BLUE, VERMILION)[at - 1]}, "line": {"none": True}, "gap": 60}
        made.add_series(series)
    made.set_title({"name": chart.title.text, "name_font": {"size": 11, "color": INK}, "overlay": False})
    made.set_legend({"none": True} if len(plot.columns) == 2 else {"position": "bottom"})
    shape = FORMATS.get(plot.unit, "General")
    axis = {"num_format": shape, "major_gridlines": {"visible": True, "line": {"color": GRID}}}
    if plot.kind == "line":
        made.set_x_axis({"date_axis": True, "num_format": "d mmm"})
        made.set_y_axis(axis)
    else:
        made.set_y_axis({"reverse": True})
        made.set_x_axis(axis)
    made.set_size({"width": 560, "height": 340})
    made.show_blanks_as("gap")
    return made
