"""CPU seconds of the family `torch` against a loop of torch over the entities: ``python -m benchmarks.torch_fits``.

Both train the same network on the same one-hot columns for as many steps of AdamW, on one thread. Prints milliseconds
per model and their ratio (median over rounds, both sides in each round).
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benchmarks.linear_fits import make_schema, make_shard  # noqa: E402
from modelfleet.families.base import TrainingShard  # noqa: E402
from modelfleet.families.catalog import make_family  # noqa: E402
from modelfleet.families.design import Layout, Standard, standardised  # noqa: E402


def loop(shard: TrainingShard, layout: Layout, entities: int, epochs: int, hidden: int) -> None:
    """Train as a user would: a module and an optimiser per entity."""
    every = np.arange(layout.levels)
    for entity in range(entities):
        part = slice(int(shard.bounds[entity]), int(shard.bounds[entity + 1]))
        rows = shard.rows.take(part)
        x = torch.from_numpy(standardised(layout, rows, every, Standard.of(rows.numbers))).float()
        y = torch.from_numpy(shard.target[part]).long()
        net = torch.nn.Sequential(torch.nn.Linear(layout.width, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 2))
        adam = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.01)
        for _ in range(epochs):
            adam.zero_grad()
            torch.nn.functional.cross_entropy(net(x), y).backward()
            adam.step()


def cpu(work) -> float:  # type: ignore[no-untyped-def]
    """Return the CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--batches", type=int, nargs="*", default=[32, 64, 128, 256])
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    schema = make_schema("binary")
    layout = Layout.of(schema)
    for rows, entities, sample in ((100, 256, 24), (1000, 64, 8)):
        shard = make_shard(schema, entities, rows)
        for batch in chosen.batches:
            parameters = {"hidden": [chosen.hidden], "epochs": chosen.epochs, "entities_per_step": batch}
            family = make_family("torch", schema, {**parameters, "device": "cpu"})
            ours, theirs = [], []
            for _ in range(chosen.rounds):
                ours.append(cpu(lambda family=family, shard=shard: family.fit(shard)) / entities)
                theirs.append(
                    cpu(lambda shard=shard, n=sample: loop(shard, layout, n, chosen.epochs, chosen.hidden)) / sample
                )
            ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
            print(  # noqa: T201
                f"{rows:5} rows, {batch:4} entities per step: ours {1e3 * statistics.median(ours):7.3f} ms, "
                f"loop {1e3 * statistics.median(theirs):7.2f} ms, {ratio:5.1f}x"
            )


if __name__ == "__main__":
    main()
