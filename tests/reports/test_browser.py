"""Every mail in a real browser: nothing overflows, nothing is missing, nothing is asked of any network."""

import os
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe

from orchestration.reports import definitions, snapshot, template
from orchestration.reports.render import Wanted, render
from orchestration.reports.snapshot import Period

BROWSER = os.environ.get("TIDEMARK_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
READ_ALOUD = ((360, "light"), (1200, "dark"))  # contrast differs by scheme, what scrolls by width


@pytest.mark.skipif(
    BROWSER is None, reason="there is no chromium: install Debian's package, or set TIDEMARK_TEST_BROWSER"
)
def test_every_report_fits_a_phone_and_a_desk_in_light_and_dark(published, tmp_path):
    from playwright.sync_api import sync_playwright

    axe = Axe()  # axe-core, which the package carries
    published.execute("update ops.incidents set detail = repeat('x', 400) where status = 'open'")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for name in template.names():
            report = definitions.definition(name)
            seen = snapshot.take(definitions.asked(template.read(name), name, report, Period.named("2026-W10")))
            path = tmp_path / f"{name}.html"
            path.write_bytes(render(Wanted(name, name, formats=()), seen).files["report.html"])
            for width, scheme in ((360, "light"), (360, "dark"), (1200, "light"), (1200, "dark")):
                page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                asked, complaints = [], []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.on("console", lambda message, complaints=complaints: complaints.append(message.text))
                page.goto(path.as_uri())
                where = (name, width, scheme)
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), where
                tiles = "[...document.querySelectorAll('.band')].every(tile => tile.scrollWidth <= tile.clientWidth)"
                assert page.evaluate(tiles), where
                assert page.evaluate("[...document.images].every(image => image.naturalWidth >= 580)"), where
                assert {url.partition(":")[0] for url in asked} <= {"file", "data"} and complaints == [], where
                if (width, scheme) in READ_ALOUD:
                    found = axe.run(page).response["violations"]
                    serious = [one for one in found if one["impact"] in ("serious", "critical")]
                    assert not serious, (where, [(one["id"], one["nodes"][0]["html"]) for one in serious])
                page.close()
        browser.close()
