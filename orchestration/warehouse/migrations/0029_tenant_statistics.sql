-- One row changes too seldom for autovacuum, and without statistics the planner expects hundreds: every join with the
-- tenant's zone made it believe in that many times the rows.
analyze ops.tenant;
