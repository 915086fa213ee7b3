"""dbt's connections, kept from model to model.

dbt opens one for each model, and PostgreSQL then reads its catalogue anew: that takes longer than many models do.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def kept() -> Iterator[None]:
    """Within, a connection that dbt closes is taken up again by the next model; in the end all of them close."""
    import psycopg2
    from dbt.adapters.postgres.connections import PostgresConnectionManager as Manager

    opened, idle = Manager.__dict__["open"], []

    def take_up(cls, connection):
        while connection.state != "open" and idle:
            if not (handle := idle.pop()).closed:
                connection.handle, connection.state = handle, "open"
        if connection.state != "open":
            opened.__func__(cls, connection)
            with connection.handle.cursor() as cursor:  # a killed build's locks go with it
                cursor.execute("set client_connection_check_interval = '1s'")
            connection.handle.commit()  # the role that it has put on, too, which a rollback would take off
        return connection

    def keep(_, connection):
        with suppress(psycopg2.Error):  # the server went away: that was told to whoever asked it something
            connection.handle.rollback()
            idle.append(connection.handle)

    Manager.open, Manager._close_handle = classmethod(take_up), classmethod(keep)
    try:
        yield
    finally:
        Manager.open = opened
        del Manager._close_handle  # the inherited one
        for handle in idle:
            handle.close()
