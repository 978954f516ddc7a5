"""One campaign for the whole folder: a real broker, a real job server, a job, and traffic from begin to end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelfleet.home import Home
from tests.faults.campaign import Campaign
from tests.faults.plant import Plant, machine
from tests.faults.poison_family import install
from tests.faults.table import write_table
from tests.faults.traffic import MAX_BYTES, Traffic
from tests.kafka.broker import Broker

REPOSITORY = Path(__file__).resolve().parents[2]
TABLE = "MODELFLEET_FAULTS"
"""Name of the environment variable that names the page whose table is renewed."""


@pytest.fixture(scope="package")
def campaign(tmp_path_factory: pytest.TempPathFactory, kafka: Broker) -> Iterator[Campaign]:
    """A fleet that is served, with 100 requests a second; every test does something to it."""
    subprocess.run([REPOSITORY / "infra" / "flink" / "build.sh"], check=True)
    packages = tmp_path_factory.mktemp("packages") / "site"
    install(packages)
    plant = Plant(Home(tmp_path_factory.mktemp("home")))
    requests = kafka.topic("requests", config={"max.message.bytes": str(MAX_BYTES)})
    answers, dead_letters = kafka.topic("answers"), kafka.topic("dead")
    client = {"kind": "kafka", "bootstrap_servers": kafka.address.bootstrap_servers}
    spec = plant.spec(
        source=client | {"topic": requests},
        sink=client | {"answers": answers, "dead_letters": dead_letters},
        lease_seconds=1.0,
        poll_seconds=0.2,
        predict_seconds=3.0,
    )
    traffic = Traffic(
        kafka, requests, answers, dead_letters, lambda n: {"machine": machine(n * 7919), "x": float(n % 100)}
    )
    with pytest.MonkeyPatch.context() as patch:
        # The job server's workers inherit it: the family is there as an installed package's is
        patch.setenv("PYTHONPATH", f"{packages}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep))
        patch.syspath_prepend(str(packages))
        plant.release()
        campaign = Campaign(plant, spec, kafka, traffic)
        campaign.start()
        traffic.start()
        try:
            yield campaign
        finally:
            campaign.stop()
    if page := os.environ.get(TABLE):
        write_table(Path(page), campaign.table)
