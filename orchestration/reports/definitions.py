"""Which reports there are: `config/reports.yml`, held against the templates that it names."""

from orchestration import settings
from orchestration.errors import TidemarkError
from orchestration.reports import template
from orchestration.reports.snapshot import Asked, Period
from orchestration.reports.template import Template

FILE = "reports.yml"


def available() -> list[str]:
    """The names of the configured reports."""
    return sorted(settings.reports().reports)


def definition(name: str) -> settings.Report:
    """A report's entry in `config/reports.yml`. Raises TidemarkError, with file and line, for what it may not say."""
    reports = settings.reports().reports
    if name not in reports:
        known = ", ".join(sorted(reports)) or "none yet"
        raise TidemarkError(f"There is no report {name!r} in {settings.settings().config / FILE}; it has: {known}.")
    _check(name, reports[name])
    return reports[name]


def check() -> None:
    """Hold all of `config/reports.yml` against the templates. Raises TidemarkError for the first mistake."""
    for name, report in settings.reports().reports.items():
        _check(name, report)


def _check(name: str, report: settings.Report) -> None:
    if report.template not in template.names():
        where = settings.place(FILE, "reports", name, "template")
        raise TidemarkError(
            f"{where} reports.{name}.template: there is no template {report.template!r}; "
            f"name one of {', '.join(template.names())}."
        )
    known = template.read(report.template).parameters
    for parameter in report.parameters:
        if parameter not in known:
            where = settings.place(FILE, "reports", name, "parameters", parameter)
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise TidemarkError(
                f"{where} reports.{name}.parameters.{parameter}: the template {report.template} has no such "
                f"parameter; {takes}."
            )


def addresses(given: list[str]) -> list[settings.Recipient]:
    """Recipients that are named by hand. Raises TidemarkError for one that reports may not be sent to."""
    reports = settings.reports()
    for address in given:
        if not reports.allows(address):
            raise TidemarkError(
                f"{address} may not be sent reports: add it or its domain to `allow` in "
                f"{settings.settings().config / FILE}."
            )
    return [settings.Recipient(address=address) for address in given]


def asked(wanted: Template, name: str, report: settings.Report, period: Period | None = None) -> Asked:
    """What a snapshot for this report has to answer, for a reader with all rights who was sent nothing yet."""
    parameters = dict.fromkeys(wanted.parameters) | report.parameters
    return Asked(
        queries=tuple(template.queries(name).items()),
        grain=report.period,
        period=period,
        metrics=tuple(wanted.metrics),
        is_of_all_metrics=wanted.is_of_all_metrics,
        parameters=tuple(parameters.items()),
    )
