"""What every baseline does for one entity: the gated step as people write it, with scikit-learn and pandas.

Deliberately a little less than modelfleet does: four metrics instead of eight (three in a slice), no comparison with a
pooled model or with a constant, no correction over the fleet. The split costs nearly nothing (a hash of one column).
So ratios against it are, if anything, too small.
"""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.compose import ColumnTransformer
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from benchmarks.data import CATEGORIES, NUMBERS, SLICES, TARGET

HOLDOUT = 20
FEATURES = [*NUMBERS, *CATEGORIES]
POSITIVE = ">50K"


def holdout_mask(frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which rows are held out: by a hash of the column that serves as a row's id, so always the same."""
    hashed = pd.util.hash_array(frame["fnlwgt"].to_numpy(dtype=np.int64))
    return np.asarray(hashed % np.uint64(100) < HOLDOUT)


def fit(frame: pd.DataFrame, **parameters: Any) -> Pipeline:
    """Fit one scikit-learn pipeline: one-hot categories, scaled numbers, a tree."""
    encode = ColumnTransformer(
        [
            ("categories", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES)),
            ("numbers", MinMaxScaler(), list(NUMBERS)),
        ]
    )
    tree = DecisionTreeClassifier(random_state=0, **parameters)
    return Pipeline([("encode", encode), ("tree", tree)]).fit(frame[FEATURES], frame[TARGET] == POSITIVE)


def train_and_gate(frame: pd.DataFrame, champion: bytes | None) -> tuple[bytes, dict[str, Any]]:
    """Fit a candidate, evaluate it and the champion on the same holdout, and decide.

    Args:
        frame: The entity's rows.
        champion: The pickled pipeline that serves it; None where none does.

    Returns:
        The pickled candidate, and its report with the decision.
    """
    warnings.filterwarnings("ignore")
    held = holdout_mask(frame)
    train, holdout = frame[~held], frame[held]
    candidate = fit(train)
    target = (holdout[TARGET] == POSITIVE).to_numpy()
    mine = _positive(candidate, holdout)
    report: dict[str, Any] = {"rows": len(train), "candidate": _evaluate(holdout, target, mine), "promote": True}
    if champion is not None:
        theirs = _positive(pickle.loads(champion), holdout)
        report["champion"] = _evaluate(holdout, target, theirs)
        difference = (mine - target) ** 2 - (theirs - target) ** 2
        report["promote"] = bool(
            len(difference) > 1 and stats.ttest_1samp(difference, 0.0, alternative="less").pvalue < 0.05
        )
    return pickle.dumps(candidate), report


def train_file(frame: pd.DataFrame, entity: str, champions: Path, folder: Path) -> int:
    """Do the step for one entity, from its champion's file to its model's and report's; return 1, for one model."""
    champion = champions / f"{entity}.pkl"
    model, report = train_and_gate(frame, champion.read_bytes() if champion.exists() else None)
    (folder / f"{entity}.pkl").write_bytes(model)
    (folder / f"{entity}.report").write_bytes(pickle.dumps(report))
    return 1


def _positive(model: Pipeline, rows: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    if len(rows) == 0:
        return np.empty(0)
    probability = model.predict_proba(rows[FEATURES])
    return probability[:, 1] if probability.shape[1] == 2 else np.full(len(rows), float(model.classes_[0]))


def _evaluate(rows: pd.DataFrame, target: np.ndarray[Any, Any], probability: np.ndarray[Any, Any]) -> dict[str, Any]:
    report: dict[str, Any] = _metrics(target, probability)
    report["brier"] = brier_score_loss(target, probability, labels=[False, True]) if len(target) else None
    for column in SLICES:
        values = rows[column].astype(str).to_numpy()
        for value in np.unique(values):
            at = values == value
            report[f"{column}={value}"] = _metrics(target[at], probability[at])
    return report


def _metrics(target: np.ndarray[Any, Any], probability: np.ndarray[Any, Any]) -> dict[str, Any]:
    if len(target) == 0:
        return {"rows": 0}
    both = 0 < target.sum() < len(target)
    return {
        "rows": len(target),
        "accuracy": accuracy_score(target, probability > 0.5),
        "roc_auc": roc_auc_score(target, probability) if both else None,
        "log_loss": log_loss(target, probability, labels=[False, True]),
    }
