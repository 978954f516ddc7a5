"""Messages of a Kafka topic, each or in packs; the engine's checkpoint, not a consumer group, says where to go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_jobs.transforms.kafka_partitions import KafkaPartitions, Start
from beam_jobs.transforms.kafka_position import ENDLESS, Partition, Positions
from beam_jobs.transforms.kafka_readers import READERS, Pace
from beam_jobs.transforms.packs import Pack, Packing
from beam_jobs.transforms.release_signal import NAMESPACE, ReleaseSignal, SignalReader
from modelfleet.spec.kafka_client import KafkaClient

EVERYTHING = (GlobalWindow(),)

TROUBLE_SECONDS = 0.5
"""How long a partition rests whose broker cannot be reached."""

BEHIND_SECONDS = 1.0
"""The watermark of a partition read to its end stays so far behind the clock: messages under way are stamped."""


class _ReadPartition(beam.DoFn):
    def __init__(
        self,
        client: KafkaClient,
        topic: str,
        group: str,
        pace: Pace,
        packing: Packing | None,
        signal: SignalReader | None = None,
    ) -> None:
        self._client = client
        self._topic = topic
        self._group = group
        self._pace = pace
        self._packing = packing
        self._signal = signal
        self._read = Metrics.counter(NAMESPACE, "kafka_messages_read")
        self._lost = Metrics.counter(NAMESPACE, "kafka_messages_lost")

    def setup(self) -> None:
        if self._signal is not None:
            self._signal.setup()
        READERS.open()

    def start_bundle(self) -> None:
        if self._signal is not None:
            self._signal.start_bundle()

    def teardown(self) -> None:
        READERS.close()

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: Partition,
        generations: Iterable[int],
        # Before the tracker: Beam fills these in by their place, and those of a splittable DoFn by their names
        window: Any = beam.DoFn.WindowParam,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,
        tracker: Any = beam.DoFn.RestrictionParam(Positions()),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),
    ) -> Iterator[WindowedValue]:
        topic, number, _ = element
        if topic != self._topic:  # out of a checkpoint of the time when the spec named another
            tracker.try_claim(ENDLESS)
            return
        if self._signal is not None:
            self._signal.read(generations)
        key, reader = READERS.get(self._client, self._group, topic, number)
        pace = self._pace
        position = tracker.current_restriction().start
        left, wait = pace.messages, READERS.patience(pace)
        until: float | None = None
        stamp: float | None = None
        while left > 0 and (until is None or time.monotonic() < until):
            batch = reader.read(position, limit=left, seconds=wait)
            if batch.next == position:
                break
            if not tracker.try_claim(batch.next):
                return  # the rest was given away; whoever gets it sets the position anew
            if batch.lost:
                self._lost.inc(batch.lost)
            if batch.messages:
                stamps = _stamps(batch.messages, time.time())
                yield from self._elements([message.value() or b"" for message in batch.messages], stamps)
                stamp = stamps[-1]
                self._read.inc(len(batch.messages))
                READERS.found_some()
            left -= len(batch.messages)
            position = batch.next
            wait = 0.001
            until = until or time.monotonic() + pace.seconds
        if reader.at_end(position):
            stamp = max(stamp or 0.0, time.time() - BEHIND_SECONDS)
        _advance(watermark, stamp)
        commit = READERS.read_to(key, position)
        if commit is not None:
            finalizer.register(commit)
        tracker.defer_remainder(Duration(seconds=TROUBLE_SECONDS if reader.troubled else 0))

    def _elements(self, values: Sequence[bytes], stamps: Sequence[float]) -> Iterator[WindowedValue]:
        # A TimestampedValue would have Beam make the window anew for each element
        if self._packing is None:
            for value, stamp in zip(values, stamps, strict=True):
                yield WindowedValue(value, Timestamp(micros=int(stamp * 1e6)), EVERYTHING)
            return
        for first, pack in self._packing.pack(values):
            earliest = min(stamps[first : first + len(pack)])
            yield WindowedValue(pack, Timestamp(micros=int(earliest * 1e6)), EVERYTHING)


def _stamps(messages: Sequence[Any], now: float) -> list[float]:
    """Return the time of each message, in seconds since 1970."""
    times = (message.timestamp() for message in messages)
    return [min(milliseconds / 1000, now) if kind else now for kind, milliseconds in times]  # a clock may be ahead


def _advance(watermark: Any, seconds: float | None) -> None:
    """Let a partition's watermark rise; it must never fall, and is None before the first time."""
    if seconds is None:
        return
    current = watermark.current_watermark()
    if current is None or Timestamp(seconds) > current:
        watermark.set_watermark(Timestamp(seconds))


class KafkaSource(beam.PTransform):
    """Emits the values of a topic's messages, as bytes, each stamped with the time of its message, or packs of them.

    That time is the producer's, or the broker's, not the event's: an event time travels in the payload. A pack has the
    earliest of its messages' times. An empty message is emitted as no bytes, so that it is dealt with rather than
    passed over.

    The offsets are in the engine's checkpoint: after a crash reading goes on where the last checkpoint was. The
    group's offsets are committed behind it, for whoever watches the lag; nothing here reads them.

    Args:
        client: Which Kafka.
        topic: The topic.
        group: Whose offsets are committed.
        start: Where to begin the partitions that are there at the first look; later ones begin at their beginning.
        discover_seconds: How often to look for new partitions.
        pace: How much is read at once.
        packing: How large a pack may become; None emits each message by itself.
        signal: Told of in passing, even while no message comes; None means nothing. Reading begins a stage anyway, so
            here a side input costs the messages nothing.
    """

    def __init__(
        self,
        client: KafkaClient,
        topic: str,
        *,
        group: str,
        start: Start = "earliest",
        discover_seconds: float = 10.0,
        pace: Pace | None = None,
        packing: Packing | None = None,
        signal: ReleaseSignal | None = None,
    ) -> None:
        super().__init__()
        self._partitions = KafkaPartitions(client, topic, group=group, start=start, discover_seconds=discover_seconds)
        reader = None if signal is None else signal.reader()
        self._generations: Any = () if signal is None else signal.side_input
        self._read = _ReadPartition(client, topic, group, pace or Pace(), packing, reader)
        self._emits: Any = bytes if packing is None else Pack

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[bytes | Pack]:
        """Apply to the pipeline itself."""
        read = beam.ParDo(self._read, self._generations).with_output_types(self._emits)
        return pbegin | "Partitions" >> self._partitions | "Read" >> read
