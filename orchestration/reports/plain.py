"""The text part of a report: paragraphs and tables of at most 76 columns, which read well in any mail program."""

import textwrap

from orchestration.reports.document import Table
from orchestration.reports.figures import NBSP

WIDTH = 76
GAP = "  "
NARROWEST = 8


def paragraph(sentence: object, mark: str = "") -> str:
    """A wrapped paragraph; `mark` begins its first line, and the others are indented by as much."""
    return textwrap.fill(
        str(sentence), WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )


def table(shown: Table) -> str:
    """A table in columns: figures flush right, long texts wrapped within their column."""
    heads = [column.label for column in shown.columns]
    rows = [[fact.text.replace(NBSP, " ") for fact in row] for row in shown.rows[: shown.shown]]
    cells = [[line[at] for line in (heads, *rows)] for at in range(len(heads))]
    least = [
        max([NARROWEST] + [len(word) for cell in column[1:] for word in cell.split() if head.is_figure])
        for column, head in zip(cells, shown.columns, strict=True)
    ]
    widths = _widths([max(map(len, column)) for column in cells], least)
    aligned = [(width, column.is_figure) for width, column in zip(widths, shown.columns, strict=True)]
    rule = GAP.join("-" * width for width in widths)
    return "\n".join([_row(heads, aligned), rule, *(_row(row, aligned) for row in rows)])


def _widths(natural: list[int], least: list[int]) -> list[int]:
    """The natural widths, with the widest columns narrowed until all fit; a figure is never broken."""
    widths = list(natural)
    while sum(widths) + len(GAP) * (len(widths) - 1) > WIDTH:
        wide = [at for at, width in enumerate(widths) if width > least[at]]
        if not wide:
            break
        widths[max(wide, key=lambda at: widths[at])] -= 1
    return widths


def _row(cells: list[str], columns: list[tuple[int, bool]]) -> str:
    wrapped = [textwrap.wrap(cell, width) or [""] for cell, (width, _) in zip(cells, columns, strict=True)]
    lines = []
    for number in range(max(map(len, wrapped))):
        pieces = [cell[number] if number < len(cell) else "" for cell in wrapped]
        lines.append(
            GAP.join(
                piece.rjust(width) if is_figure else piece.ljust(width)
                for piece, (width, is_figure) in zip(pieces, columns, strict=True)
            ).rstrip()
        )
    return "\n".join(lines)
