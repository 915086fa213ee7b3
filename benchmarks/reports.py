"""How long reports take, on what is published where the settings point: what the README says of them.

    .venv/bin/python -m benchmarks.reports [set | one]

`set` makes the weekly set: every template for 50 recipients, in two locales and three sets of formats, and queues it in
a transaction that is taken back; with the peak of memory. `one` makes one executive summary with all of its charts, PDF
and workbook, in a process that has made another before.
"""

import argparse
import os
import resource
import tempfile
import time

from orchestration.reports import definitions, delivery, snapshot, template
from orchestration.reports.render import Wanted, render
from orchestration.settings import Recipient
from orchestration.warehouse import database

RECIPIENTS = 50
FORMS = [("en", ["pdf"]), ("en", ["pdf", "xlsx"]), ("de_DE", ["pdf"]), ("en", ["csv", "xlsx"])]


class _TakenBack(Exception):
    pass


def weekly_set() -> dict:
    """Seconds, mebibytes and messages of every template to all recipients."""
    readers = [
        Recipient(address=f"reader{number}@example.com", locale=locale, formats=formats)
        for number in range(RECIPIENTS)
        for locale, formats in [FORMS[number % len(FORMS)]]
    ]
    began, queued = time.monotonic(), 0
    for name in template.names():
        report = definitions.definition(name)
        made = delivery.make(name, report, readers, None)
        try:
            with database.connect() as connection:
                queued += sum(len(delivery.enqueue(connection, one, by_hand=True)) for one in made)
                raise _TakenBack
        except _TakenBack:
            pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(time.monotonic() - began, 1), "messages": queued, "peak_mib": round(peak)}


def executive() -> dict:
    """Wall and processor seconds of one executive summary with PDF and workbook, the second in its process."""
    report, shape = definitions.definition("executive"), template.read("executive")
    for _ in range(2):
        began, used = time.monotonic(), time.process_time()
        seen = snapshot.take(definitions.asked(shape, "executive", report))
        rendered = render(Wanted("executive", "executive", formats=("pdf", "xlsx")), seen)
    return {
        "seconds": round(time.monotonic() - began, 2),
        "cpu_seconds": round(time.process_time() - used, 2),
        "charts": len(rendered.images),
        "files": {file: len(body) for file, body in rendered.files.items()},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["set", "one"], default="set")
    chosen = parser.parse_args().what
    os.environ["TIDEMARK_DATABASE_URL"] = database.url()  # the reports go into a folder of their own
    with tempfile.TemporaryDirectory() as home:
        os.environ["TIDEMARK_HOME"] = home
        print(weekly_set() if chosen == "set" else executive())
