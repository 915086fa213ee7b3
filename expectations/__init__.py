"""What must be true of every table that a gate guards: one suite a table, pure, run with Great Expectations.

A suite stands in the module that is named like its table, in the folder that is named like its schema, as `SUITE`.
When and over which rows it is run is the business of whoever calls `validate`.
"""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from expectations.declaration import Suite
from expectations.result import ExpectationResult, GateResult
from expectations.validation import validate

__all__ = ["ExpectationResult", "GateResult", "Suite", "suites", "validate"]

LAYERS = ("raw", "staging", "marts", "ml")  # in the order in which data flows


@cache
def suites() -> dict[str, Suite]:
    """Every suite by the name of its table, in the order in which data flows."""
    found = {}
    for layer in LAYERS:
        package = import_module(f"expectations.{layer}")
        for module in iter_modules(package.__path__):
            suite = import_module(f"expectations.{layer}.{module.name}").SUITE
            found[suite.table] = suite
    return found
