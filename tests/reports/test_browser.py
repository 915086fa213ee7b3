"""A kept report in a real browser: nothing overflows, nothing is missing, nothing is asked of any network."""

import os
import shutil

import pytest

from orchestration.reports.delivery import send

BROWSER = os.environ.get("TIDEMARK_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.mark.skipif(
    BROWSER is None, reason="there is no chromium: install Debian's package, or set TIDEMARK_TEST_BROWSER"
)
def test_the_report_fits_a_phone_and_a_desk_in_light_and_dark(published, hold):
    from playwright.sync_api import sync_playwright

    published.execute("update ops.incidents set detail = repeat('x', 400) where status = 'open'")
    published.execute("update api.metric_daily set value = value * 900 where metric = 'revenue'")
    hold()
    page_url = send("executive").paths["report.html"].as_uri()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        for width in (360, 1200):
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                asked, complaints = [], []
                page.on("request", lambda request, asked=asked: asked.append(request.url))
                page.on("console", lambda message, complaints=complaints: complaints.append(message.text))
                page.goto(page_url)
                assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (width, scheme)
                shown = page.locator(".band").all()
                assert all(tile.evaluate("tile => tile.scrollWidth <= tile.clientWidth") for tile in shown)
                assert page.evaluate("[...document.images].every(image => image.naturalWidth >= 580)")
                assert {url.partition(":")[0] for url in asked} <= {"file", "data"} and complaints == []
                page.close()
        browser.close()
