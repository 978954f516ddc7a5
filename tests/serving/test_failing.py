"""A model that fails costs its own rows their answer, nobody else's, and not the speed of every later batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.loading import load_bundle
from modelfleet.serving.predict import Failure, Prediction, predict_rows
from modelfleet.serving.status import fleet_status

GOOD = {f"g{i}": 10.0 * i for i in range(60)}


def loaded(shop: Any, **bad: float) -> Any:
    bundle = shop.bundle(shards={0: GOOD | bad, 1: {"far": 5.0}})
    return load_bundle(bundle, fleet="sales", generation=7, lazy=True)


def rows(*stores: str) -> list[dict[str, Any]]:
    return [{"store": store, "x": 1.0, "colour": "red"} for store in stores]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-9000.0, "the model failed: ArithmeticError: 666 is not liked here"),
        (math.nan, "the model's prediction is not finite: [nan]"),
        (-9004.0, "returned predictions of shape (1, 2), expected (1, 1)"),
    ],
)
def test_a_model_that_is_bad_in_any_way_fails_its_own_rows_only(shop: Any, value: float, reason: str) -> None:
    fleet = loaded(shop, bad=value)
    asked = [*GOOD, "bad", "far", "stranger", "bad"]
    for _ in range(3):
        results = predict_rows(fleet, rows(*asked))
        failed = {store for store, result in zip(asked, results, strict=True) if isinstance(result, Failure)}
        assert failed == {"bad"}
        assert all(reason in result.reason for result in results if isinstance(result, Failure))
        right = [r.prediction for r in results if isinstance(r, Prediction)]
        assert right == [value + 1.0 for value in [*GOOD.values(), 5.0, 1000.0]]
    assert fleet.failing.rows == 6
    (worst,) = fleet.failing.worst(5)
    assert (worst.entity, worst.rows) == ("bad", 6)


def test_once_known_it_costs_one_call_more_and_no_search(shop: Any, fussy: Any, monkeypatch: Any) -> None:
    fleet = loaded(shop, bad=-9000.0)
    calls: list[int] = []
    real = fussy.FussyPredictor.predict

    def counting(self: Any, of: Any, model: Any) -> Any:
        calls.append(len(model))
        return real(self, of, model)

    monkeypatch.setattr(fussy.FussyPredictor, "predict", counting)
    batch = rows(*GOOD, "bad")
    predict_rows(fleet, batch)
    assert len(calls) > 10
    calls.clear()
    predict_rows(fleet, batch)
    assert calls == [60, 1]


def test_a_row_that_its_model_cannot_bear_leaves_the_models_other_rows(shop: Any) -> None:
    fleet = loaded(shop)
    batch = rows("g1", "g1", "g2")
    batch[1]["x"] = 666.0
    for _ in range(2):
        assert [type(result) for result in predict_rows(fleet, batch)] == [Prediction, Failure, Prediction]


def test_the_lease_and_the_status_tell_of_it(shop: Any, resident: Callable[..., Any]) -> None:
    shop.release_of(shards={0: {"a": 1.0, "b": 2.0}})
    fleet = resident()
    good, bad = fleet.predict([shop.request("1", store="a"), shop.request("2", store="b", x=666.0)])
    assert isinstance(good, Answer)
    assert isinstance(bad, DeadLetter)
    fleet._keeper.renew()
    shop.until(lambda: shop.leases.live()[0].failed_rows == 1)
    text = fleet_status(shop.home, "sales").as_text()
    assert "the model of b failed 1 rows: the model failed: ArithmeticError" in text
    assert "holds 2 model files" in text
    shop.release_of(shards={0: {"a": 1.0, "b": 3.0}})
    fleet.notice(2)
    shop.until(lambda: fleet.generation == 2)
    shop.until(lambda: shop.leases.live()[0].failing == ())
