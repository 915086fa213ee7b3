"""Reading bytes without a warehouse: what a reader makes of them."""

import io
import json

from orchestration.ingest.dialects import READERS
from orchestration.settings import Source


def read(form: str, content: bytes | list, **settings) -> tuple[list[dict], list[tuple[int, str, str]], dict]:
    """Events, with their properties read; refusals as (position, reason, detail); the payload of each position."""
    if isinstance(content, list):
        content = b"\n".join(json.dumps(record).encode() for record in content)
    source = Source.model_validate({"format": form} | settings)
    events, refusals, payloads = [], [], {}
    for batch in READERS[form](io.BytesIO(content), source):
        for row in batch.frame.iter_rows(named=True):
            events.append(row | {"properties": json.loads(row["properties"], parse_float=str)})
        refusals += [(refusal.position, refusal.reason.value, refusal.detail) for refusal in batch.refusals]
        positions = [*batch.frame["position"], *(refusal.position for refusal in batch.refusals)]
        payloads |= {position: batch.payload(position) for position in positions}
        assert batch.received == len(positions) == len(set(positions))
    return events, refusals, payloads


def again(form: str, payloads: dict[int, bytes], **settings) -> list[dict]:
    """The events that each payload gives when it is read by itself, at the positions of the payloads."""
    found = []
    for position, payload in sorted(payloads.items()):
        for event in read(form, payload, **settings)[0]:
            found.append(event | {"position": position})
    return found
