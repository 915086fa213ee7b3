"""Models as bytes and back, without pickle: Prophet's own JSON, skops with a fixed list of trusted types."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.churn import ChurnModel
    from ml.forecast import Forecaster

# What a spline logistic regression is made of, beyond the types that skops itself trusts.
TRUSTED = ["numpy.dtype", "scipy._lib.array_api_compat.numpy._aliases.asarray", "scipy.interpolate._bsplines.BSpline"]


def dump_forecasters(forecasters: "Sequence[Forecaster]") -> bytes:
    return json.dumps([asdict(forecaster) for forecaster in forecasters], sort_keys=True).encode()


def load_forecasters(content: bytes) -> "list[Forecaster]":
    from ml.forecast import Forecaster

    return [
        Forecaster(**{**fields, "reach": {int(level): width for level, width in fields["reach"].items()}})
        for fields in json.loads(content)
    ]


def dump_churn_model(model: "ChurnModel") -> bytes:
    from skops.io import dumps

    fields = {"features": list(model.features), "at": model.at, "pipeline": model.pipeline, "typical": model.typical}
    return dumps({**fields, "trees": model.trees})


def load_churn_model(content: bytes) -> "ChurnModel":
    """Raises skops' UntrustedTypesFoundException when the content names any type that is not expected."""
    from skops.io import loads

    from ml.churn import ChurnModel

    fields = loads(content, trusted=TRUSTED)
    return ChurnModel(tuple(fields["features"]), fields["at"], fields["pipeline"], fields["typical"], fields["trees"])


def dump_parameters(parameters: dict) -> bytes:
    return json.dumps(parameters, sort_keys=True).encode()
