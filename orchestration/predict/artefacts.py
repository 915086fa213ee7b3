"""Models as bytes and back, without pickle: JSON, plain arrays, skops with a fixed list of trusted types."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ml.churn import ChurnModel
    from ml.forecast import Forecaster
    from ml.recommend import Recommender

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


def dump_recommender(model: "Recommender") -> bytes:
    """Arrays as NumPy writes them, none of them of objects."""
    import numpy as np

    arrays = {"items": model.items, "popularity": model.popularity, "people": model.people}
    if model.factors is not None:
        arrays["factors"] = model.factors
    else:
        similar = model.similar
        arrays |= {"data": similar.data, "indices": similar.indices, "indptr": similar.indptr}
    content = BytesIO()
    np.savez_compressed(content, setting=json.dumps(asdict(model.setting), sort_keys=True), **arrays)
    return content.getvalue()


def load_recommender(content: bytes) -> "Recommender":
    """Raises ValueError when the content holds anything but plain arrays."""
    import numpy as np
    from scipy.sparse import csc_array

    from ml.recommend import Recommender, Setting

    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        known = [arrays[name] for name in ("items", "popularity", "people")]
        setting = Setting(**json.loads(str(arrays["setting"])))
        if "factors" in arrays:
            return Recommender(setting, *known, None, arrays["factors"])
        size = len(known[0])
        similar = csc_array(tuple(arrays[name] for name in ("data", "indices", "indptr")), shape=(size, size))
    return Recommender(setting, *known, similar, None)
