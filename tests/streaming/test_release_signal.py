"""The release signal asks the runner once per bundle: a question per request costs more than the answer to it."""

from __future__ import annotations

from collections.abc import Iterator

from beam_jobs.transforms.release_signal import SignalReader, _Signal
from modelfleet.serving.resident import get_resident
from modelfleet.serving.resident_config import ResidentConfig


class Asked:
    """A side input that counts how often it is read."""

    def __init__(self, *generations: int) -> None:
        self.generations = generations
        self.times = 0

    def __iter__(self) -> Iterator[int]:
        self.times += 1
        return iter(self.generations)


def test_the_side_input_is_read_once_per_bundle(shop) -> None:
    shop.release()
    folders = shop.folders
    config = ResidentConfig(fleet="shop", releases=str(folders.releases), leases=str(folders.leases), poll_seconds=60.0)
    signal = _Signal(SignalReader(config))
    signal.setup()
    resident = get_resident(config)
    try:
        first, second = Asked(1), Asked(1, 2)
        signal.start_bundle()
        assert [list(signal.process(number, first)) for number in range(3)] == [[0], [1], [2]]
        assert first.times == 1
        shop.release()
        signal.start_bundle()
        assert list(signal.process("x", second)) == ["x"]
        assert second.times == 1
        shop.until(lambda: resident.generation == 2)  # by the signal: the ledger itself is polled once a minute
    finally:
        resident.close()
