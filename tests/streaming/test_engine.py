"""The engine's errors and command lines, without starting one."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess

import pytest

from modelfleet.engines import flink, job_server
from modelfleet.engines.flink import latest_checkpoint, list_jobs
from modelfleet.engines.job_server import JobServer, configure, find_job_server, job_server_command
from modelfleet.engines.launch import run_job
from modelfleet.engines.operate import drain_serving, restart_serving, stop_serving
from modelfleet.engines.options import IN_PROCESS, command_line, job_name, pipeline_options, write_worker_script
from modelfleet.engines.serve import serve, serving_status, start_serving
from modelfleet.errors import CloudSetupError, EngineUnavailableError, InputError, LedgerEmptyError, ModelfleetError
from modelfleet.home import Home


@pytest.fixture
def dead_server(shop):
    """Leave the record of a job server that no longer runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = JobServer(pid=1, job_port=port, artifact_port=port, rest_ports=(port, port))
    shop.home.flink.mkdir(parents=True)
    (shop.home.flink / "job-server.json").write_text(server.model_dump_json())
    return server


def test_an_empty_ledger_says_what_to_run(shop):
    for call in (start_serving, serve):
        with pytest.raises(LedgerEmptyError, match=r"modelfleet run fleets/shop\.yaml"):
            call(shop.spec, shop.home)


@pytest.mark.parametrize("call", [serving_status, stop_serving, drain_serving])
def test_without_a_job_server_it_says_what_to_start(shop, call):
    with pytest.raises(EngineUnavailableError, match="`make up` or `modelfleet serve`"):
        call(shop.spec, shop.home)


def test_a_job_server_that_is_gone_is_named_with_its_log(shop, dead_server):
    shop.release()
    with pytest.raises(EngineUnavailableError, match=f"{dead_server.job_port}.*job-server.log") as caught:
        start_serving(shop.spec, shop.home)
    assert caught.value.exit_code == 4
    assert list_jobs(dead_server) == []


def test_a_cluster_that_does_not_answer_is_not_taken_for_one_without_jobs(monkeypatch):
    monkeypatch.setattr(flink, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        server = JobServer(pid=1, job_port=port, artifact_port=port, rest_ports=(port, port))
        with pytest.raises(EngineUnavailableError, match=f"{port}.*does not answer"):
            list_jobs(server)


def test_dataflow_must_be_told_where(shop):
    shop.release()
    for call in (start_serving, serve, serving_status, stop_serving, drain_serving, restart_serving):
        with pytest.raises(CloudSetupError, match=r"engine_options\.project and engine_options\.region must be set"):
            call(shop.spec.model_copy(update={"engine": "dataflow"}), shop.home)


def test_a_jar_that_is_not_built_is_named_with_the_command(shop, monkeypatch):
    monkeypatch.setenv("MODELFLEET_JOB_SERVER_JAR", "/nowhere/x.jar")
    with pytest.raises(EngineUnavailableError, match=r"/nowhere/x\.jar.*infra/flink/build\.sh"):
        job_server.job_server_jar()


def test_a_taken_port_is_said_before_java_starts(shop):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineUnavailableError, match=f"port {port} is taken"):
            job_server.main([f"--home={shop.home.root}", f"--job-port={port}"])


def test_the_configuration_names_folder_ports_and_checkpoint(shop, dead_server, monkeypatch, tmp_path):
    jar = tmp_path / "job-server.jar"
    jar.write_bytes(b"")
    monkeypatch.setenv("MODELFLEET_JOB_SERVER_JAR", str(jar))
    written = shop.home.flink / "conf" / "flink-conf.yaml"
    configure(shop.home, dead_server, savepoint=tmp_path / "chk-3")
    text = written.read_text()
    assert f"rest.bind-port: {dead_server.job_port}-{dead_server.job_port}" in text
    assert f"state.checkpoints.dir: file://{shop.home.flink}/checkpoints" in text
    assert f"execution.savepoint.path: {tmp_path / 'chk-3'}" in text
    configure(shop.home, dead_server)
    assert "savepoint.path" not in written.read_text()
    command = job_server.java_command(shop.home, dead_server)
    assert "--job-host=127.0.0.1" in command


def test_the_supervisor_gets_one_command(tmp_path):
    command = job_server_command(Home(tmp_path), job_port=0, rest_ports=(1, 2))
    assert command[1:] == [
        "-m", "modelfleet.engines.job_server", f"--home={tmp_path}", "--job-port=0", "--rest-ports=1-2",
    ]  # fmt: skip


def test_a_job_has_the_same_name_at_every_call_and_another_in_another_home(tmp_path):
    name = job_name("income_tax", "serve", Home(tmp_path))
    assert name == job_name("income_tax", "serve", Home(tmp_path))
    assert name != job_name("income_tax", "serve", Home(tmp_path / "other"))
    assert name.startswith("modelfleet-income-tax-serve-")


def test_batch_jobs_run_in_their_own_process_by_default(shop):
    options = pipeline_options(shop.spec, "train", shop.home)
    assert options == {"runner": IN_PROCESS, "direct_num_workers": 1}
    changed = shop.spec.model_copy(update={"engine_options": {"direct_num_workers": 3}})
    assert pipeline_options(changed, "train", shop.home)["direct_num_workers"] == 3


def test_options_become_arguments():
    options = {"a": True, "b": False, "c": None, "d": 0, "e": "x y", "f": ["1", "2"]}
    assert command_line(options) == ["--a", "--d=0", "--e=x y", "--f=1", "--f=2"]


def test_the_worker_script_can_be_run_from_a_home_with_a_space(tmp_path):
    script = write_worker_script(Home(tmp_path / "my home"))
    assert os.access(script, os.X_OK)
    assert subprocess.run([script], check=False).returncode == 2  # argparse: --id is required
    assert "--provision_endpoint" in (tmp_path / "my home" / "logs" / "beam-worker.log").read_text()


def test_the_newest_whole_checkpoint_is_taken(tmp_path):
    assert latest_checkpoint(tmp_path, "job") is None
    for number in (9, 10, 11):
        (tmp_path / "job" / f"chk-{number}").mkdir(parents=True)
    for number in (9, 10):
        (tmp_path / "job" / f"chk-{number}" / "_metadata").touch()
    assert latest_checkpoint(tmp_path, "job") == tmp_path / "job" / "chk-10"


def test_a_job_run_to_its_end_passes_on_log_and_output(caplog):
    with caplog.at_level(logging.INFO):
        output = run_job("json.tool", ["--help"])
        with pytest.raises(InputError, match="--nonsense"):
            run_job("json.tool", ["--nonsense"])
    assert "usage" in output
    assert "--nonsense" in caplog.text


@pytest.mark.parametrize(
    ("code", "error"),
    [(1, ModelfleetError), (2, InputError), (4, EngineUnavailableError), (-9, EngineUnavailableError)],
)
def test_how_a_job_ended_is_what_is_raised(tmp_path, monkeypatch, code, error):
    ends = "os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)"
    (tmp_path / "ends.py").write_text(f"import os, sys\ncode = int(sys.argv[1])\n{ends}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelfleetError, match=f"ended with {code}") as caught:
        run_job("ends", [str(code)])
    assert type(caught.value) is error


def test_the_record_of_a_job_server_that_is_half_written_counts_as_none(shop):
    shop.home.flink.mkdir(parents=True)
    (shop.home.flink / "job-server.json").write_text(json.dumps({"pid": 1})[:-1])
    with pytest.raises(EngineUnavailableError, match="no job server"):
        find_job_server(shop.home)
