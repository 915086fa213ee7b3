"""A data engineer's first minutes: `tidemark up`, the UI in a real browser, a refresh launched by clicking, Ctrl-C."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from orchestration.settings import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def up(tmp_path):
    """`tidemark up` as a process of its own, over an empty home; yields its address and the process."""
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("TIDEMARK_", "DAGSTER_"))}
    environment |= {"TIDEMARK_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "up", "--port", str(port)],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = []
    for line in process.stderr:
        said.append(line)
        if "is up" in line:
            break
    else:
        pytest.fail("".join(said) or "it said nothing")
    yield f"http://127.0.0.1:{port}", process
    if process.poll() is None:  # the test failed: leave nothing behind
        process.send_signal(signal.SIGINT)
        process.wait(60)


def ask(address: str, query: str) -> dict:
    request = urllib.request.Request(
        f"{address}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: install Debian's package chromium")
def test_a_refresh_launched_by_clicking_succeeds_and_ctrl_c_ends_everything(up, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    address, process = up
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{address}/locations/tidemark/jobs/refresh/playground")
        launch = page.get_by_role("button", name="Launch run")
        expect(launch).to_be_enabled(timeout=60_000)
        launch.click()
        expect(page.get_by_text("Success", exact=True).first).to_be_visible(timeout=120_000)
        browser.close()

    runs = ask(address, '{runsOrError(filter: {pipelineName: "refresh"}) {... on Runs {results {status}}}}')
    assert "SUCCESS" in [run["status"] for run in runs["runsOrError"]["results"]]  # at the hour, there is another
    instigators = ask(
        address,
        '{repositoryOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "tidemark"})'
        " {... on Repository {schedules {name scheduleState {status}} sensors {name sensorState {status}}}}}",
    )["repositoryOrError"]
    states = [schedule["scheduleState"]["status"] for schedule in instigators["schedules"]]
    states += [sensor["sensorState"]["status"] for sensor in instigators["sensors"]]
    assert len(states) >= 6
    assert set(states) == {"RUNNING"}

    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    assert process.wait(90) == 0  # each part has half a minute
    time.sleep(1)
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
    assert not (tmp_path / "home" / "postgres" / "postmaster.pid").exists()
