"""Every session of a stage begins as the stage's role; but erasing goes through all that there is, as the operator."""

import ast

from orchestration.settings import ROOT
from orchestration.warehouse import access

STAGES = ("ingest", "transform", "gates", "predict", "alerts", "outbox", "reports", "privacy")


def test_each_stage_connects_as_its_own_role():
    roles: dict[str, set] = {}
    for stage in STAGES:
        for path in sorted((ROOT / "orchestration" / stage).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("database.connect", "database.url"):
                    named = ast.walk(node.args[0]) if node.args else ()
                    said = {one.value for one in named if isinstance(one, ast.Constant)}
                    assert said <= {*access.STAGES}, f"{path}:{node.lineno} says which role it connects as"
                    assert said or stage == "privacy", f"{path}:{node.lineno} says which role it connects as"
                    roles.setdefault(stage, set()).update(said)
    assert roles["ingest"] == {"loader"} and roles["transform"] == roles["gates"] == {"transformer"}
    assert roles["predict"] == {"ml"} and roles["privacy"] == {"eraser"}
    assert roles["alerts"] | roles["outbox"] | roles["reports"] == {"report"}
