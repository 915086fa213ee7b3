"""Writing into `ops.audit`, in the caller's transaction: what is told of there happened if, and only if, it commits."""

import getpass

import psycopg
from psycopg.types.json import Jsonb

from orchestration.errors import TidemarkError


def record(connection: psycopg.Connection, action: str, subject: str, *, actor: str | None = None, **detail) -> int:
    """Add a row: who did what to what, and whatever else tells of it. Returns the row's id.

    `actor`: the login or address of whom it was done for; whoever runs this process where it is left out. Never
    personal data itself: name a subject by its pseudonym.
    """
    return connection.execute(
        "insert into ops.audit (actor, action, subject, detail) values (%s, %s, %s, %s) returning audit_id",
        [actor or getpass.getuser(), action, subject, Jsonb(detail)],
    ).fetchone()[0]


def verify(connection: psycopg.Connection) -> int:
    """Compute the chain again. Returns how many rows hold; raises TidemarkError naming the first that doesn't."""
    broken = connection.execute(
        """select audit_id from (
               select audit_id, hash, row_number() over chain as place,
                      ops.audit_hash(lag(hash) over chain, audit_id, at, actor, action, subject, detail) as computed
               from ops.audit window chain as (order by audit_id)) as chained
           where hash <> computed or audit_id <> place order by audit_id limit 1"""
    ).fetchone()
    if broken:
        raise TidemarkError(
            f"ops.audit is not as it was written: row {broken[0]} or the one before it was changed or taken away."
        )
    return connection.execute("select count(*) from ops.audit").fetchone()[0]
