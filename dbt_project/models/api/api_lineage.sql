-- What every metric and every published table is made from, step by step down to the sources; read from the project's own
-- graph, so it cannot be out of date.
select figure, kind, step, relation, description, made_from
from (
    values
    {{ lineage_rows() if execute else "('', '', 0, '', '', '')" }}
) as lineage (figure, kind, step, relation, description, made_from)
