"""A warehouse of a tenant in Berlin, without the ingest stage."""

import psycopg
import pytest


@pytest.fixture
def connection(warehouse):
    with psycopg.connect(warehouse) as connection:
        connection.execute("create table raw.events_all partition of raw.events default")
        connection.execute("update ops.tenant set timezone = 'Europe/Berlin'")
        connection.commit()
        yield connection
