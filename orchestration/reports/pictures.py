"""Pictures of every report for whoever changes one: the pages of its PDF, and its mail on a phone and on a desk.

`python -m orchestration.reports.pictures FOLDER` makes them of what is published; with `--docs`, also the small ones in
docs/reports/. It needs Chromium and the development dependencies.
"""

import os
import shutil
import sys
from io import BytesIO
from pathlib import Path

from orchestration import settings
from orchestration.reports import charts, definitions, snapshot, template
from orchestration.reports.content import Content
from orchestration.reports.figures import Form
from orchestration.reports.render import Wanted, render, typeset

SCREENS = {"desk": (760, "light"), "dark": (760, "dark"), "phone": (360, "light")}
SMALL = (420, 590)  # of one half of a small picture


def pages(name: str) -> tuple[list[bytes], bytes]:
    """A report's pages as PNG, and its HTML, of the newest complete period."""
    report = definitions.definition(name)
    shape = template.read(report.template)
    seen = snapshot.take(definitions.asked(shape, report.template, report))
    form = Form(seen.zone, seen.currency)
    document = Content(shape, seen, form).document()
    with charts.style():
        drawn = {chart.name: charts.svg(chart.draw()) for chart in document.charts}
    printed = typeset(document, seen, drawn, form)(format="png", ppi=96)
    html = render(Wanted(name, report.template, formats=()), seen).files["report.html"]
    return printed if isinstance(printed, list) else [printed], html


def screens(html: Path) -> dict[str, bytes]:
    """A mail as a browser shows it, whole, by the name of the screen."""
    from playwright.sync_api import sync_playwright

    found = os.environ.get("TIDEMARK_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        shots = {}
        for screen, (width, scheme) in SCREENS.items():
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(html.as_uri())
            shots[screen] = page.screenshot(full_page=True)
        browser.close()
    return shots


def small(page: bytes, mail: bytes) -> bytes:
    """The first page and the beginning of the mail side by side, in few colours."""
    from PIL import Image

    width, height = SMALL
    both = Image.new("RGB", (2 * width + 20, height), "white")
    for at, body in enumerate((page, mail)):
        picture = Image.open(BytesIO(body)).convert("RGB")
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
        both.paste(picture.crop((0, 0, width, height)), (at * (width + 20), 0))
    file = BytesIO()
    both.quantize(64).save(file, "png", optimize=True)
    return file.getvalue()


def main(folder: Path, *, in_docs: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in definitions.available():
        printed, html = pages(name)
        (folder / f"{name}.html").write_bytes(html)
        shots = screens((folder / f"{name}.html").resolve())
        for number, page in enumerate(printed, start=1):
            (folder / f"{name}-page-{number}.png").write_bytes(page)
        for screen, shot in shots.items():
            (folder / f"{name}-{screen}.png").write_bytes(shot)
        if in_docs:
            target = settings.ROOT / "docs" / "reports" / f"{name}.png"
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(small(printed[0], shots["desk"]))
        print(f"{name}: {len(printed)} pages", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]), in_docs="--docs" in sys.argv)
