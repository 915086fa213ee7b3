"""What workers need, imported once in the process that they are forked from; nothing else imports this module."""

import os

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a worker has one core; threads do not fork

import lightgbm  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.linear_model  # noqa: F401
import skops.io  # noqa: F401
import statsforecast.models  # noqa: F401
import statsmodels.api  # noqa: F401

from ml.forecast import prophet
from orchestration.predict import train  # noqa: F401

prophet.quiet_import()
