"""Which reports there are: `config/reports.yml`, and the templates that it may name."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from orchestration import settings
from orchestration.errors import TidemarkError

TEMPLATES = Path(__file__).parent / "templates"


def available() -> list[str]:
    """The names of the configured reports."""
    return sorted(settings.reports())


def definition(name: str) -> settings.Report:
    """A report's entry in `config/reports.yml`. Raises TidemarkError when there is none."""
    reports = settings.reports()
    if name not in reports:
        known = ", ".join(sorted(reports)) or "none yet"
        raise TidemarkError(
            f"There is no report {name!r} in {settings.settings().config / 'reports.yml'}; it has: {known}."
        )
    return reports[name]


def queries(template: str) -> Path:
    """The folder of a template's SQL. Raises TidemarkError when there is no such template."""
    folder = TEMPLATES / template / "queries"
    if not folder.is_dir():
        known = ", ".join(sorted(path.parent.name for path in TEMPLATES.glob("*/queries")))
        raise TidemarkError(f"There is no report template {template!r}: config/reports.yml may name {known}.")
    return folder


def content(template: str) -> ModuleType:
    """The module of a template whose `document(snapshot)` says what is in the report."""
    return import_module(f"orchestration.reports.templates.{template}.content")
