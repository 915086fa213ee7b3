"""A person's own data as an archive, for the person: every row that names them, a file a table."""

import json
import zipfile
from datetime import UTC, datetime

from orchestration.errors import TidemarkError
from orchestration.privacy import carriers
from orchestration.settings import settings
from orchestration.warehouse import audit, database
from orchestration.warehouse.names import KnownNames, forms, hash_key, hashed


def export(subjects: list[str]) -> dict:
    """Write a ZIP of JSON Lines with every row about the person who has these names; return path, tables and rows.

    Rows are about them where a column that names people names them; what only mentions them is somebody else's. Raises
    TidemarkError when there is none.
    """
    names = KnownNames(forms(subjects))
    path = settings().directory("subjects") / f"{hashed(min(names.names), hash_key()).hex()}.zip"
    counts: dict[str, int] = {}
    with database.connect() as connection:
        connection.execute("set transaction isolation level repeatable read")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for carrier in carriers.carriers(connection):
                rows = carriers.rows_about(connection, carrier, names)
                lines = [json.dumps(row, ensure_ascii=False) for row in rows]
                if lines:
                    name = "raw.events" if carrier.is_event else carrier.relation
                    counts[name] = counts.get(name, 0) + len(lines)
                    archive.writestr(f"{carrier.relation}.jsonl", "".join(f"{line}\n" for line in lines))
            about = {"subjects": subjects, "made_at": datetime.now(UTC).isoformat(), "rows": counts}
            archive.writestr("manifest.json", json.dumps(about, indent=2, ensure_ascii=False))
        if not counts:
            path.unlink()
            raise TidemarkError(
                "Nothing is stored about a person of that name: check it, or give another name of theirs."
            )
        number = sum(counts.values())
        subject = next((name for name in sorted(names.names) if name.startswith("pn_")), "")
        audit.record(connection, "person exported", subject, personal=["everything"], rows=number)
    return {"path": str(path), "tables": len(counts), "rows": number, "by_table": counts}
