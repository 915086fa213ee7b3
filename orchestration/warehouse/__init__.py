"""The database: embedded server, connections, migrations, and the tables through which the stages meet."""
