"""How much memory the embedded server takes."""

from types import SimpleNamespace

import psutil
import pytest

from orchestration.warehouse import server

GIB = 2**30


@pytest.mark.parametrize(
    ("machine", "container", "shared_mib"),
    [
        (64 * GIB, None, 2048),  # no limit, and the most that it takes
        (4 * GIB, None, 1024),
        (64 * GIB, "max\n", 2048),
        (64 * GIB, f"{GIB}\n", 256),
        (2 * GIB, f"{64 * GIB}\n", 512),  # a limit beyond what is there
    ],
)
def test_the_server_shares_a_quarter_of_what_its_container_may_use(
    tmp_path, monkeypatch, machine, container, shared_mib
):
    limit = tmp_path / "memory.max"
    if container:
        limit.write_text(container)
    monkeypatch.setattr(server, "CONTAINER_LIMITS", [limit])
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=machine))
    assert server._shared_mib() == shared_mib
