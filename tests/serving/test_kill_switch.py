"""The kill switch: the pooled model answers for everybody, at once, with what is in memory already."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelfleet.errors import BundleError, InputError, LedgerEmptyError, ReleaseError
from modelfleet.releases.mode import set_mode
from modelfleet.releases.promote import promote, rollback
from modelfleet.serving.answer import Answer
from modelfleet.serving.loading import load_release


def ask(fleet: Any, shop: Any, store: str = "a") -> tuple[float, str, int]:
    (answer,) = fleet.predict([shop.request(store=store)])
    assert isinstance(answer, Answer)
    return float(answer.prediction), answer.served_by, answer.generation


def test_it_turns_from_the_next_batch_and_back(shop: Any, resident: Callable[..., Any]) -> None:
    shop.release_of()
    fleet = resident(poll_seconds=0.01)
    own = ask(fleet, shop)
    assert own[1:] == ("entity", 1)
    release = set_mode(shop.ledger, pooled_only=True, actor="ann", note="nonsense since noon")
    assert (release.generation, release.reason, release.pooled_only) == (2, "mode", True)
    shop.until(lambda: fleet.generation == 2)
    assert ask(fleet, shop) == (*ask(fleet, shop, "stranger")[:1], "pooled", 2)
    assert ask(fleet, shop)[0] != own[0]
    set_mode(shop.ledger, pooled_only=False)
    shop.until(lambda: fleet.generation == 3)
    assert ask(fleet, shop) == (own[0], "entity", 3)


def test_it_loads_nothing_anew(shop: Any, resident: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a bundle whose files are damaged by now stands in its way."""
    bundle = shop.bundle()
    shop.release(bundle)
    fleet = resident(poll_seconds=0.01)
    for file in bundle.path.glob("shards/*"):
        file.write_bytes(b"")
    set_mode(shop.ledger, pooled_only=True)
    shop.until(lambda: fleet.generation == 2)
    assert ask(fleet, shop)[1] == "pooled"
    assert fleet.refused == ()


def test_later_releases_keep_it_until_it_is_turned_back(shop: Any, resident: Callable[..., Any]) -> None:
    shop.release_of()
    set_mode(shop.ledger, pooled_only=True)
    ref = shop.release(shop.bundle(add=1.0)).bundle  # by whoever publishes
    assert shop.ledger.latest().pooled_only
    assert rollback(shop.ledger).pooled_only
    assert promote(shop.ledger, ref).pooled_only
    assert ask(resident(), shop)[1] == "pooled"
    assert set_mode(shop.ledger, pooled_only=True) is None
    assert not set_mode(shop.ledger, pooled_only=False).pooled_only
    assert set_mode(shop.ledger, pooled_only=False) is None


def test_a_batch_score_follows_it_too(shop: Any) -> None:
    import pyarrow as pa

    from modelfleet.serving.score import score_table

    shop.release_of()
    fleet = load_release(set_mode(shop.ledger, pooled_only=True), fleet="sales")
    scored = score_table(fleet, pa.table({"store": ["a", "c", "stranger"], "x": [1.0] * 3, "colour": ["red"] * 3}))
    assert scored.predictions["served_by"].to_pylist() == ["pooled"] * 3


def test_without_a_pooled_model_it_is_refused_with_what_to_do(shop: Any) -> None:
    with pytest.raises(LedgerEmptyError):
        set_mode(shop.ledger, pooled_only=True)
    with_none = shop.bundle(pooled=None)
    shop.release(with_none)
    with pytest.raises(InputError, match=r"generation 1 has no pooled model.*`modelfleet rollback fleets/sales.yaml`"):
        set_mode(shop.ledger, pooled_only=True)
    assert shop.ledger.newest() == 1


def test_while_it_is_on_no_bundle_without_a_pooled_model_is_released(shop: Any) -> None:
    bare = shop.release(shop.bundle(pooled=None)).bundle
    shop.release_of()
    set_mode(shop.ledger, pooled_only=True)
    with pytest.raises(ReleaseError, match=r"pooled model only, and .* has none.*--whole-fleet"):
        promote(shop.ledger, bare)
    with pytest.raises(ReleaseError, match=r"generation 1 cannot serve again.*has none"):
        rollback(shop.ledger, to=1)
    forced = shop.release(shop.bundle(add=1.0, pooled=None))
    with pytest.raises(BundleError, match="has no pooled model, which generation 4 asks for"):
        load_release(forced, fleet="sales")
