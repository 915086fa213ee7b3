"""Warehouses of tenants in Berlin, without the ingest stage, and of tenants anywhere, with it."""

import shutil

import psycopg
import pytest

from orchestration.settings import ROOT


@pytest.fixture
def connection(warehouse):
    with psycopg.connect(warehouse) as connection:
        connection.execute("create table raw.events_all partition of raw.events default")
        connection.execute("update ops.tenant set timezone = 'Europe/Berlin'")
        connection.commit()
        yield connection


@pytest.fixture
def tenant_in(warehouse, tmp_path, monkeypatch):
    """Have the tenant live in a time zone; returns a connection to the warehouse."""
    config = shutil.copytree(ROOT / "config", tmp_path / "config")
    monkeypatch.setenv("TIDEMARK_CONFIG", str(config))
    with psycopg.connect(warehouse, options="-c timezone=UTC") as connection:

        def tenant_in(zone: str, currency: str = "EUR") -> psycopg.Connection:
            (config / "tenant.yml").write_text(f"name: Test\ntimezone: {zone}\ncurrency: {currency}\n")
            return connection

        yield tenant_in
