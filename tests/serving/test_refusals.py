"""The resident fleet refuses a bad release once, with the reason, and the last good one goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.errors import ReleaseError
from modelfleet.serving import loading
from modelfleet.serving.answer import Answer
from modelfleet.serving.resident import ResidentFleet

Make = Callable[..., ResidentFleet]


def corrupt(bundle: Any, what: str) -> None:
    file = next(iter(sorted((bundle.path / "shards").iterdir())))
    data = file.read_bytes()
    match what:
        case "truncated":
            file.write_bytes(data[: len(data) // 2])
        case "altered":
            file.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
        case "missing file":
            file.unlink()
        case "missing folder":
            shutil.rmtree(bundle.path)
        case "half-written":
            (bundle.path / "bundle.json").unlink()
        case "manifest altered":
            manifest = bundle.path / "bundle.json"
            manifest.write_text(manifest.read_text() + " ")


FAULTS = {
    "truncated": "bytes, expected",
    "altered": "sha256 is",
    "missing file": "cannot be read",
    "missing folder": "cannot be read",
    "half-written": "is no complete bundle",
    "manifest altered": "sha256 is",
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_broken_bundle_is_refused_with_the_reason_and_the_last_good_one_goes_on(
    shop: Any, resident: Make, what: str
) -> None:
    shop.release_of()
    fleet = resident()
    bad = shop.bundle(add=1)
    corrupt(bad, what)
    shop.release(bad)
    fleet.notice(2)
    shop.until(lambda: bool(fleet.refused))
    assert fleet.generation == 1
    assert fleet.refused[0].generation == 2
    assert FAULTS[what] in fleet.refused[0].reason
    shop.until(lambda: shop.leases.all()[0].refused == fleet.refused)
    assert isinstance(fleet.predict([shop.request()])[0], Answer)

    shop.release_of(add=2)  # the next good one is taken
    fleet.notice(3)
    shop.until(lambda: fleet.generation == 3)
    shop.until(lambda: shop.leases.all()[0].refused == ())


@pytest.mark.parametrize("what", FAULTS)
def test_start_falls_back_to_the_previous_release_and_reports_it(shop: Any, resident: Make, what: str) -> None:
    shop.release_of()
    bad = shop.bundle(add=1)
    corrupt(bad, what)
    shop.release(bad)
    fleet = resident()
    assert fleet.generation == 1
    assert [refusal.generation for refusal in shop.leases.all()[0].refused] == [2]


def test_start_with_nothing_that_can_be_loaded_names_every_reason(shop: Any) -> None:
    for _ in range(2):
        bundle = shop.bundle()
        corrupt(bundle, "missing folder")
        shop.release(bundle)
    with pytest.raises(ReleaseError, match=r"no release can be loaded: generation 1: .* generation 2: "):
        shop.resident().start()


def test_a_bundle_of_another_fleet_is_refused(shop: Any, resident: Make) -> None:
    shop.release_of()
    shop.release_of(fleet="other")
    assert "is a bundle of fleet 'other', but this process serves 'sales'" in resident().refused[0].reason


def test_a_release_of_another_fleet_is_refused(shop: Any, resident: Make) -> None:
    shop.release_of()
    shop.release(shop.bundle(), fleet="other")
    assert "release of fleet 'other'" in resident().refused[0].reason


def test_models_that_predict_nonsense_are_refused(shop: Any, resident: Make) -> None:
    shop.release_of()
    shop.release_of(add=float("nan"))
    shop.release_of(pooled=float("inf"))
    reasons = [refusal.reason for refusal in resident().refused]
    assert (
        "the model of entity 'a' cannot answer a plain row: the model's prediction is not finite: [nan]" in reasons[0]
    )
    assert "the pooled model cannot answer a plain row: the model's prediction is not finite: [inf]" in reasons[1]


def test_models_that_cannot_predict_are_refused(shop: Any, resident: Make, fussy: Any, monkeypatch: Any) -> None:
    shop.release_of()
    fleet = resident()

    def raises(*_: object) -> None:
        raise RuntimeError("not today")

    monkeypatch.setattr(fussy.FussyPredictor, "predict", raises)
    shop.release_of(add=1)
    fleet.notice(2)
    shop.until(lambda: bool(fleet.refused))
    assert "cannot answer a plain row: the model failed: RuntimeError: not today" in fleet.refused[0].reason


def test_a_bundle_without_any_model_is_refused(shop: Any, resident: Make) -> None:
    shop.release_of()
    with pytest.raises(Exception, match=r"no schema|has no models"):
        loading.load_bundle(shop.bundle(shards={}, pooled=None), fleet="sales", generation=2)


def test_schemas_that_disagree_are_refused(shop: Any) -> None:
    other = shop.schema().model_copy(update={"entity": ("shop",)})
    with pytest.raises(Exception, match="its schemas disagree on entity"):
        loading.load_bundle(shop.bundle(schemas={1: other}), fleet="sales", generation=1)


def test_a_half_written_release_is_reported_and_taken_once_it_is_whole(shop: Any, resident: Make) -> None:
    shop.release_of()
    fleet = resident(lease_seconds=0.02)
    whole = shop.release_of(add=1)
    path = shop.ledger.path(2)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    shop.until(lambda: bool(fleet.refused) or fleet.generation == 2)
    if fleet.generation == 1:
        assert "0000000002.json" in fleet.refused[0].reason
        assert isinstance(fleet.predict([shop.request()])[0], Answer)
    path.write_bytes(data)
    shop.until(lambda: fleet.generation == whole.generation)
    shop.until(lambda: fleet.refused == ())


def test_a_bad_release_is_refused_once(shop: Any, resident: Make, monkeypatch: Any) -> None:
    shop.release_of()
    bad = shop.bundle(add=1)
    corrupt(bad, "truncated")
    fleet = resident(lease_seconds=0.01)
    tried: list[int] = []
    real = loading.load_release

    def counting(release: Any, **settings: Any) -> Any:
        tried.append(release.generation)
        return real(release, **settings)

    monkeypatch.setattr("modelfleet.serving.resident.load_release", counting)
    shop.release(bad)
    shop.until(lambda: bool(fleet.refused))
    for _ in range(20):
        fleet.notice(2)
    renewed = shop.leases.all()[0].renewed_at
    shop.until(lambda: shop.leases.all()[0].renewed_at > renewed)
    assert tried == [2]


def test_what_cannot_be_read_for_a_moment_is_tried_again(shop: Any, resident: Make, monkeypatch: Any) -> None:
    shop.release_of()
    fleet = resident(lease_seconds=0.01)
    failures = iter([OSError("stale handle"), OSError("stale handle")])
    real = loading.load_release

    def flaky(release: Any, **settings: Any) -> Any:
        for failure in failures:
            raise failure
        return real(release, **settings)

    monkeypatch.setattr("modelfleet.serving.resident.load_release", flaky)
    shop.release_of(add=1)
    shop.until(lambda: fleet.generation == 2)
    assert fleet.refused == ()


def test_a_bundle_file_that_cannot_be_read_for_a_moment_is_read_again(
    shop: Any, resident: Make, monkeypatch: Any
) -> None:
    shop.release_of()
    fleet = resident(lease_seconds=0.01)
    bundle = shop.bundle(add=1)
    real, failures = Path.read_bytes, [OSError(5, "Input/output error")] * 2

    def flaky(path: Path) -> bytes:
        if path.is_relative_to(bundle.path) and failures:
            raise failures.pop()
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", flaky)
    shop.release(bundle)
    shop.until(lambda: fleet.generation == 2)
    assert fleet.refused == ()


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), MemoryError("no memory")])
def test_trouble_of_the_process_itself_is_reported_and_tried_until_it_is_over(
    shop: Any, resident: Make, monkeypatch: Any, trouble: Exception
) -> None:
    shop.release_of()
    fleet = resident(poll_seconds=0.001)

    def broken(*_: object, **__: object) -> None:
        tries.append(1)
        raise trouble

    tries: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr("modelfleet.serving.resident.load_release", broken)
        shop.release_of(add=1)  # not before: the process looks a thousand times a second
        fleet.notice(2)
        shop.until(lambda: len(tries) > 3)
        shop.until(lambda: bool(shop.leases.all()[0].refused))
        (refusal,) = shop.leases.all()[0].refused
        assert (refusal.generation, refusal.passing) == (2, True)
        assert str(trouble) in refusal.reason
        assert fleet.generation == 1
    shop.until(lambda: fleet.generation == 2)
    shop.until(lambda: shop.leases.all()[0].refused == ())


def test_when_the_newest_is_bad_the_newest_good_one_is_taken(shop: Any, resident: Make) -> None:
    shop.release_of()
    fleet = resident()
    shop.release_of(add=1)
    bad = shop.bundle(add=2)
    corrupt(bad, "missing file")
    shop.release(bad)
    fleet.notice(3)
    shop.until(lambda: fleet.generation == 2)
    shop.until(lambda: [r.generation for r in shop.leases.all()[0].refused] == [3])
