"""The page behind the links in messages: an incident, and what its receiver may do. Only POST changes anything.

The link is the permission, so nothing else is asked; a mail program that follows links only looks.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from orchestration.alerts import incidents, links
from orchestration.errors import TidemarkError
from orchestration.warehouse import database

_LAYOUTS = Environment(loader=FileSystemLoader(Path(__file__).parent / "layouts"), autoescape=True)
_LONGEST = 10_000  # bytes of an answer
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def application() -> Starlette:
    """The small web application, for any ASGI server."""
    return Starlette(routes=[Route("/incidents/{token}", _answer, methods=["GET", "POST"])])


async def _answer(request: Request) -> Response:
    token = request.path_params["token"]
    try:
        grant = links.unseal(token, datetime.now(UTC))
        if request.method == "POST":
            await run_in_threadpool(_act, grant, await _form(request))
            return RedirectResponse(request.url.path, 303, headers=_HEADERS)
        found = await run_in_threadpool(_look, grant)
    except TidemarkError as error:
        return _page(403, title="Tidemark", error=str(error))
    return _page(200, title=found["detail"], incident=found, receiver=grant.receiver)


def _page(status: int, **values) -> HTMLResponse:
    return HTMLResponse(_LAYOUTS.get_template("incident.html.j2").render(**values), status, headers=_HEADERS)


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            raise TidemarkError("That is too long: write less than 2,000 characters.")
    try:
        fields = parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        raise TidemarkError("This is no answer that the page could have sent.") from None
    return {name: values[0] for name, values in fields.items()}


def _look(grant: links.Grant) -> dict:
    with database.connect("report", rows=True) as connection:
        return incidents.incident(connection, grant.incident_id)


def _act(grant: links.Grant, form: dict[str, str]) -> None:
    """Do what was asked for, as the one whom the link was sent to."""
    now = datetime.now(UTC)
    hours = form.get("hours", "")
    until = now + timedelta(hours=int(hours) if hours.isdecimal() and 0 < int(hours) <= 24 * 7 else 1)
    with database.connect("report", rows=True) as connection:
        incident_id, who = grant.incident_id, grant.receiver
        match form.get("action"):
            case "acknowledge":
                incidents.acknowledge(connection, incident_id, who, now)
            case "snooze":
                incidents.snooze(connection, incident_id, who, now, until)
            case "resolve":
                incidents.resolve(connection, incident_id, who, now)
            case "silence":
                found = incidents.incident(connection, incident_id)
                incidents.silence(connection, found["fingerprint"], who, now, until)
            case "comment":
                incidents.comment(connection, incident_id, who, now, form.get("text", "")[:2000])
            case _:
                raise TidemarkError("Nothing was done: the page offers what can be.")


def serve(host: str, port: int) -> None:
    """Answer until the process ends. Links are permissions: they are not written into a log."""
    import uvicorn

    uvicorn.Server(uvicorn.Config(application(), host, port, log_level="warning", access_log=False)).run()
