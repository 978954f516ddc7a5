"""The examples of examples/plain_beam on the real engine, and what Beam's own part of them gets wrong."""

from __future__ import annotations

import gc
import itertools
import json
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from apache_beam.ml.inference.base import ModelMetadata, _RunInferenceDoFn
from apache_beam.ml.inference.sklearn_inference import ModelFileType, SklearnModelHandlerNumpy
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from beam_jobs.transforms.model_notices import model_of_notice
from modelfleet.engines.flink import cancel_job, find_job, list_jobs
from modelfleet.engines.job_server import find_job_server
from modelfleet.engines.options import command_line, pipeline_options
from modelfleet.releases.promote import rollback

REPOSITORY = Path(__file__).resolve().parents[2]
flink = pytest.mark.flink


def put(folder: Path, lines: Sequence[object]) -> None:
    """Put a file of JSON lines into a folder, by a rename."""
    name = uuid.uuid4().hex
    (folder / f".{name}").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / f".{name}").rename(folder / f"{name}.jsonl")


@dataclass
class Example:
    """A running example with its folders."""

    folder: Path
    until: Callable[[Callable[[], bool]], None]

    def __post_init__(self) -> None:
        for name in ("requests", "notices", "models"):
            (self.folder / name).mkdir(parents=True)

    @property
    def arguments(self) -> list[str]:
        names = ("requests", "notices", "answers", "dead-letters")
        return [f"--{name}={self.folder / name}" for name in names]

    def notice(self, **line: object) -> None:
        put(self.folder / "notices", [line])

    def outcomes(self, kind: str) -> list[dict[str, Any]]:
        parts = sorted((self.folder / kind).glob("*.jsonl"))
        return [json.loads(line) for part in parts for line in part.read_text().splitlines()]

    def ask(self, **row: object) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        request_id = uuid.uuid4().hex
        put(self.folder / "requests", [{"request_id": request_id, "row": row}])
        found: list[dict[str, Any]] = []

        def answered() -> bool:
            found[:] = [one for one in self.outcomes("answers") if one["request_id"] == request_id]
            return bool(found)

        self.until(answered)
        return found[0]


@pytest.fixture
def example(live, tmp_path) -> Iterator[Callable[..., Example]]:
    """Start an example on the folder's job server as its page says, and stop it at the end."""
    home, started = live.shop.home, []

    def start(module: str, *arguments: str, prepared: Example) -> Example:
        name = f"plain-{uuid.uuid4().hex[:8]}"
        options = command_line({**pipeline_options(live.shop.spec, "serve", home), "job_name": name})
        command = [sys.executable, "-m", f"examples.plain_beam.{module}", *prepared.arguments, *arguments, *options]
        started.append(name)
        subprocess.run(command, cwd=REPOSITORY, check=True)
        return prepared

    yield start
    for name in started:
        job = find_job(find_job_server(home), name)
        if job is not None:
            cancel_job(job)


@pytest.fixture
def folders(live, tmp_path) -> Example:
    return Example(tmp_path / "example", live.shop.until)


def sklearn_model(path: Path, add: float) -> Path:
    """Write an estimator of ``x + add``, whole."""
    x = np.array([[0.0], [1.0]], np.float32)
    joblib.dump(LinearRegression().fit(x, x[:, 0] + add), path.with_name(f".{path.name}"))
    return path.with_name(f".{path.name}").rename(path)


def torch_model(path: Path, add: float) -> Path:
    """Write the weights of ``x + add``, whole."""
    weights = {"weight": torch.ones(1, 1), "bias": torch.tensor([add])}
    torch.save(weights, path.with_name(f".{path.name}"))
    return path.with_name(f".{path.name}").rename(path)


WRITERS = {"sklearn": sklearn_model, "torch": torch_model}


@flink
@pytest.mark.parametrize("signal", ["watch", "event"])
def test_a_fleet_goes_over_to_every_release_and_back(live, shop, folders, example, signal):
    first = shop.release()
    example("fleet", "--fleet=shop", f"--home={shop.home.root}", f"--signal={signal}", prepared=folders)
    assert folders.ask(store="a", x=1.0)["generation"] == first.generation

    def tell(generation: int) -> None:
        if signal == "event":
            folders.notice(generation=generation)
        shop.until(lambda: folders.ask(store="a", x=1.0)["generation"] == generation)

    second = shop.release()
    tell(second.generation)
    shop.release()
    third = shop.release()  # two at once, which Beam's own trigger makes one pane of: a singleton of two
    tell(third.generation)
    for _ in range(10):  # a process looks at the ledger itself, so the pane comes after its first answer
        assert folders.ask(store="a", x=1.0)["generation"] == third.generation
    if signal == "event":
        put(folders.folder / "notices", ["no notice", {"generation": first.generation}, {"model_id": None}])
    back = rollback(shop.ledger, to=first.generation)
    tell(back.generation)
    answer = folders.ask(store="a", x=0.0)
    assert answer["prediction"] == pytest.approx(first.generation, abs=1e-4)
    generations = [one["generation"] for one in sorted(folders.outcomes("answers"), key=lambda a: a["processed_time"])]
    assert generations == sorted(generations)


@flink
@pytest.mark.parametrize("library", ["sklearn", "torch"])
@pytest.mark.parametrize("signal", ["watch", "event"])
def test_one_model_answers_until_a_newer_one_is_signalled(live, folders, example, library, signal):
    models, write = folders.folder / "models", WRITERS[library]
    first = write(models / "v1.bin", 1.0)
    example(
        "one_model", f"--model={first}", "--columns=x", f"--library={library}", f"--signal={signal}",
        f"--models={models}/*.bin", prepared=folders,
    )  # fmt: skip
    answer = folders.ask(x=1.0)  # the default model, before any signal
    assert answer["prediction"] == pytest.approx(2.0, abs=1e-4)
    put(folders.folder / "requests", [{"request_id": "text", "row": {"x": "blue"}}, {"request_id": "none", "row": {}}])
    second = write(models / "v2.bin", 10.0)
    if signal == "event":
        folders.notice(model_id=str(second))
    live.shop.until(lambda: folders.ask(x=1.0)["prediction"] == pytest.approx(11.0, abs=1e-4))
    assert folders.ask(x=1.0)["model_id"] == str(second)
    live.shop.until(lambda: {one["request_id"] for one in folders.outcomes("dead-letters")} == {"text", "none"})


@flink
def test_with_beams_own_handler_a_file_that_cannot_be_loaded_stops_every_answer(live, folders, example):
    """The bundle is tried again and again, each time from the same notice."""
    first = sklearn_model(folders.folder / "models" / "v1.bin", 1.0)
    example("one_model", f"--model={first}", "--columns=x", "--signal=event", prepared=folders)
    folders.ask(x=1.0)
    corrupt = folders.folder / "models" / "v2.bin"
    corrupt.write_bytes(b"corrupt")
    folders.notice(model_id=str(corrupt))
    ids = itertools.count()

    def failures() -> int:
        """Ask, since a side input is read only where there is traffic; return how often the job has failed."""
        put(folders.folder / "requests", [{"request_id": f"in vain {next(ids)}", "row": {"x": 1.0}}])
        job = next(job for job in list_jobs(find_job_server(live.shop.home)) if job.name.startswith("plain-"))
        with urllib.request.urlopen(f"{job.url}/exceptions", timeout=5) as found:
            return len(json.load(found)["exceptionHistory"]["entries"])

    live.shop.until(lambda: failures() >= 2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_beam_says_the_new_file_answered_when_it_could_not_be_loaded(tmp_path):
    """Why a corrupt model needs a check before it is signalled; FleetModelHandler refuses it and says so."""
    good, corrupt = sklearn_model(tmp_path / "v1.bin", 1.0), tmp_path / "v2.bin"
    corrupt.write_bytes(b"corrupt")
    handler = SklearnModelHandlerNumpy(str(good), ModelFileType.JOBLIB)
    inference = _RunInferenceDoFn(handler, time, None, load_model_at_runtime=True)
    inference.setup()
    row = [np.array([1.0], np.float32)]
    assert inference.process(row, None, ModelMetadata("", ""))[0].model_id == str(good)
    with pytest.raises(Exception, match=r".*"):  # whatever joblib makes of it
        inference.process(row, None, ModelMetadata(str(corrupt), "v2"))
    [result] = inference.process(row, None, ModelMetadata(str(corrupt), "v2"))
    assert (float(result.inference), result.model_id) == (pytest.approx(2.0), str(corrupt))
    gc.collect()  # Beam leaves the file open


@pytest.mark.parametrize(
    ("line", "model"),
    [
        (b'{"model_id": "m/v7.bin"}', "m/v7.bin"),
        (b'{"fleet": "shop", "generation": 12}', "12"),
        (b'{"model_id": ""}', None),
        (b'{"generation": true}', None),
        (b"[1]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_a_notice_names_a_model_or_is_none(line, model):
    assert model_of_notice(line) == model


@given(st.binary())
def test_whatever_the_bytes_a_notice_is_a_name_or_none(line):
    assert model_of_notice(line) is None or model_of_notice(line)
