"""The text part of a report: paragraphs and tables of at most 76 columns, which read well in any mail program."""

import textwrap

from orchestration.reports.document import Table

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
    rows = [[fact.text for fact in row] for row in shown.rows[: shown.shown]]
    widths = _widths([max(len(line[at]) for line in (heads, *rows)) for at in range(len(heads))])
    aligned = [(width, column.is_figure) for width, column in zip(widths, shown.columns, strict=True)]
    return "\n".join(
        [_row(heads, aligned), GAP.join("-" * width for width in widths), *(_row(row, aligned) for row in rows)]
    )


def _widths(natural: list[int]) -> list[int]:
    """The natural widths, with the widest columns narrowed until all fit."""
    widths = list(natural)
    while sum(widths) + len(GAP) * (len(widths) - 1) > WIDTH and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
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
