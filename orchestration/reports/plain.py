"""The text part of a report: paragraphs and tables of at most 76 columns, which read well in any mail program."""

import textwrap

from orchestration.reports.document import Table

WIDTH = 76
GAP = "  "
NARROWEST = 12


def paragraph(sentence: str, mark: str = "") -> str:
    """A wrapped paragraph; `mark` begins its first line, and the others are indented by as much."""
    return textwrap.fill(
        sentence, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark), break_on_hyphens=False
    )


def table(shown: Table) -> str:
    """A table in columns: figures flush right, long texts wrapped within their column."""
    heads = shown.heads
    groups = [(heading, [[cell.text for cell in row] for row in rows]) for heading, rows in shown.groups]
    lines = [[name for name, _ in heads], *(row for _, rows in groups for row in rows)]
    widths = _widths([max(len(line[column]) for line in lines) for column in range(len(heads))])
    aligned = [(width, is_figure) for width, (_, is_figure) in zip(widths, heads, strict=True)]
    parts = [_row(lines[0], aligned), GAP.join("-" * width for width in widths)]
    for heading, rows in groups:
        parts += ["", heading] if heading else []
        parts += [_row(row, aligned) for row in rows]
    return "\n".join(parts)


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
