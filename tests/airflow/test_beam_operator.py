"""The operator runs real Beam pipelines, and nothing of them outlives the task."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

PIPELINE = """
import argparse, logging, pathlib, sys
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--fail", default="")
    known, rest = parser.parse_known_args()
    logging.basicConfig(level=logging.INFO)
    with beam.Pipeline(options=PipelineOptions(rest)) as pipeline:
        numbers = pipeline | beam.Create([1, 2, 3]) | beam.CombineGlobally(sum)
        if known.fail == "pipeline":
            numbers = numbers | beam.Map(lambda n: n / 0)
        numbers | beam.Map(lambda n: pathlib.Path(known.output).write_text(f"{n} {sys.argv[1]}"))
    if known.fail == "input":
        print("modelfleet.errors.DataError: sales.csv: holds no rows", file=sys.stderr)
        raise SystemExit(2)
    if known.fail == "outside":
        logging.error("job server localhost:1 is silent")
        raise SystemExit(4)

if __name__ == "__main__":
    main()
"""

ENDLESS = """
import os, pathlib, subprocess, sys, threading
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait(300)"])
target = pathlib.Path(next(a for a in sys.argv if a.startswith("--output=")).partition("=")[2])
target.with_suffix(".tmp").write_text(f"{os.getpid()} {child.pid}")
target.with_suffix(".tmp").rename(target)
threading.Event().wait(300)
"""


@pytest.fixture
def operator(tmp_path: Path) -> Any:
    """Make a ControlledBeamOperator for a program, with its output file."""
    from modelfleet.engines.options import IN_PROCESS
    from modelfleet_airflow.operators.beam_pipeline import ControlledBeamOperator

    def make(program: str, **options: object) -> tuple[ControlledBeamOperator, Path]:
        script = tmp_path / "pipeline.py"
        script.write_text(program)
        output = tmp_path / "output"
        made = ControlledBeamOperator(
            task_id="job",
            py_file=str(script),
            py_interpreter=sys.executable,
            runner=IN_PROCESS,
            pipeline_options={"output": str(output), "direct_num_workers": 1, **options},
        )
        return made, output

    return make


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: Any, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)


def test_a_pipeline_runs_on_the_local_runner_and_logs_at_its_own_level(
    operator: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    job, output = operator(PIPELINE)
    job.execute({})
    assert output.read_text().startswith("6 --runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner")
    log = capsys.readouterr().out
    beam_lines = [line for line in log.splitlines() if "INFO:apache_beam" in line]
    assert beam_lines
    assert all("[info " in line for line in beam_lines)
    assert "Prism" not in log


@pytest.mark.parametrize(
    ("fail", "error", "message"),
    [
        ("pipeline", AirflowException, "exit code 1: ZeroDivisionError: division by zero"),
        ("input", AirflowFailException, "exit code 2: modelfleet.errors.DataError: sales.csv: holds no rows"),
        ("outside", AirflowException, r"exit code 4: job server localhost:1 is silent \(an outside.*a retry may help"),
    ],
)
def test_a_failing_pipeline_says_why_and_only_wrong_input_is_final(
    operator: Any, fail: str, error: type[Exception], message: str
) -> None:
    job, _ = operator(PIPELINE, fail=fail)
    with pytest.raises(error, match=message) as caught:
        job.execute({})
    assert type(caught.value) is error


def test_a_timeout_leaves_no_orphan(operator: Any) -> None:
    from airflow.sdk.exceptions import AirflowTaskTimeout
    from airflow.sdk.execution_time.timeout import timeout

    job, output = operator(ENDLESS)
    with pytest.raises(AirflowTaskTimeout), timeout(3):
        job.execute({})
    pids = [int(pid) for pid in output.read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        wait_for(lambda pid=pid: gone(pid))


def test_a_killed_task_ends_the_job_and_fails(operator: Any) -> None:
    job, output = operator(ENDLESS)

    def kill() -> None:
        wait_for(output.exists)
        job.on_kill()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(AirflowException, match="signal 15"):
        job.execute({})
    thread.join()
    for pid in output.read_text().split():
        wait_for(lambda pid=int(pid): gone(pid))


def test_the_job_operator_takes_either_a_run_or_a_spec() -> None:
    from modelfleet_airflow.operators.beam_job import BeamJobOperator

    with pytest.raises(ValueError, match="task 'x': give either run or spec"):
        BeamJobOperator(task_id="x", job="prepare")
    with pytest.raises(ValueError, match="give either run or spec"):
        BeamJobOperator(task_id="x", job="prepare", run="a", spec="b")


def test_the_job_operator_names_a_spec_that_is_not_there(tmp_path: Path) -> None:
    from modelfleet_airflow.operators.beam_job import BeamJobOperator

    job = BeamJobOperator(task_id="x", job="score", spec=tmp_path / "none.yaml", arguments={})
    with pytest.raises(AirflowFailException, match=r"SpecError: .*none.yaml: no such file"):
        job.execute({})


def test_the_job_operator_names_a_run_that_has_not_begun(tmp_path: Path) -> None:
    from modelfleet_airflow.operators.beam_job import BeamJobOperator

    job = BeamJobOperator(task_id="x", job="train", run=str(tmp_path))
    with pytest.raises(AirflowFailException, match=r"StepError: .*holds no run"):
        job.execute({})
