"""Where the modules and the code must agree: columns, messages, log lines, counters, options."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from infra.tests import bigquery_columns
from infra.tests.workspace import INFRA
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.lease import Refusal

REPOSITORY = INFRA.parent
SCHEMAS = INFRA / "modules/pubsub/schemas"

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ANSWER = Answer("r1", "income", "Masters", ">50K", 0.75, 3, "entity", None, NOW.isoformat(), "worker-1")
LETTER = DeadLetter.of(b"\xff{", reason="not UTF-8", stage="parse", now=NOW)


def message_of(proto: str) -> Any:
    """Return the class of the one message of a proto3 file that has only scalar fields."""
    kinds = {"string": 9, "double": 1, "int64": 3}
    name = re.search(r"^message (\w+) \{$", proto, flags=re.MULTILINE)
    assert name
    message = descriptor_pb2.DescriptorProto(name=name[1])
    for optional, kind, field, number in re.findall(r"^  (optional )?(\w+) (\w+) = (\d+);$", proto, flags=re.MULTILINE):
        added = message.field.add(name=field, number=int(number), type=kinds[kind], label=1)
        if optional:
            added.proto3_optional, added.oneof_index = True, len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{field}")
    file = descriptor_pb2.FileDescriptorProto(name=f"{name[1]}.proto", syntax="proto3", message_type=[message])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name[1]))


def answer_proto(prediction: str) -> str:
    return (SCHEMAS / "answer.proto.tftpl").read_text().replace("${prediction}", prediction)


@pytest.mark.parametrize(
    ("proto", "sent"),
    [
        (answer_proto("string"), ANSWER),
        (answer_proto("string"), dataclasses.replace(ANSWER, event_time=NOW.isoformat())),
        (answer_proto("double"), dataclasses.replace(ANSWER, prediction=12.5, score=None)),
        ((SCHEMAS / "dead_letter.proto").read_text(), LETTER),
        (
            (SCHEMAS / "dead_letter.proto").read_text(),
            DeadLetter.of(b"{}", reason="?", stage="predict", now=NOW, request_id="r", entity="e", generation=3, row=7),
        ),
    ],
    ids=["a label", "with event time", "a number", "unread", "read"],
)
def test_the_topic_takes_what_is_sent(proto: str, sent: Answer | DeadLetter) -> None:
    kind = message_of(proto)
    read = json_format.Parse(sent.to_json(), kind())
    assert [field.name for field in kind.DESCRIPTOR.fields] == [field.name for field in dataclasses.fields(sent)]
    back = json_format.MessageToDict(read, preserving_proto_field_name=True)
    assert {
        name: int(value) if name in ("generation", "row", "whole_bytes") else value for name, value in back.items()
    } == {name: value for name, value in dataclasses.asdict(sent).items() if value is not None}


def test_a_topic_of_numbers_takes_no_label() -> None:
    with pytest.raises(json_format.ParseError, match="prediction"):
        json_format.Parse(ANSWER.to_json(), message_of(answer_proto("double"))())


def test_the_columns_are_those_of_the_code() -> None:
    """After a change that is meant: `.venv/bin/python -m infra.tests.bigquery_columns`."""
    written = {path.name: path.read_text() for path in bigquery_columns.FOLDER.iterdir()}
    assert written == bigquery_columns.files()


def test_a_row_of_answers_fits_its_columns() -> None:
    columns = {column["name"]: column for column in json.loads(bigquery_columns.files()["predictions_label.json"])}
    row = json.loads(ANSWER.to_json())
    assert list(columns) == list(row)
    kinds = {"STRING": str, "INT64": int, "FLOAT64": float, "TIMESTAMP": str}
    for name, value in row.items():
        assert value is None or isinstance(value, kinds[columns[name]["type"]]), name
        assert value is not None or columns[name]["mode"] == "NULLABLE", name


def source(*folders: str) -> str:
    """Return the code of some folders, in which a format's place is a gap."""
    return "\n".join(path.read_text() for folder in folders for path in sorted((REPOSITORY / folder).rglob("*.py")))


def signals() -> dict[str, str]:
    plan = json.loads((INFRA / "modules/monitoring/example/plan.json").read_text())
    kind = "google_logging_metric.signal"
    return {
        address.split('"')[1]: re.findall(r'=~"([^"]*)"', resource["filter"])[-1]
        for address, resource in plan.items()
        if kind in address
    }


def test_every_signal_is_a_sentence_of_the_code() -> None:
    code = re.sub(r"%[sd]|\{[^{}]*\}", "7", source("src", "plugins"))
    found = signals()
    refused = found.pop("swap-refused")
    for passing in (False, True):
        assert re.search(refused, Refusal(generation=12, reason="cut", passing=passing).as_text())
    assert set(found) == {"swap-late", "swap-unconfirmed", "gate-refused"}
    assert {name: pattern for name, pattern in found.items() if not re.search(pattern, code)} == {}


def test_every_counter_is_one_of_the_code() -> None:
    monitoring = "".join(path.read_text() for path in (INFRA / "modules/monitoring").glob("*.tf"))
    named = re.findall(r'metric_name=~?\\"([^\\]+)\\"', monitoring)
    names = {name for each in named for name in each.split("|")}
    code = re.sub(r"\{[^{}]*\}", "7", source("beam_jobs"))
    counters = set(re.findall(r'Metrics\.counter\([^,]+, f?"([^"]+)"\)', code))
    assert {"answered", "swaps_seen", "dead_letters_.*"} <= names
    assert {name for name in names if not any(re.fullmatch(name, counter) for counter in counters)} == set()


def test_the_template_asks_for_the_launchers_options() -> None:
    plan = json.loads((INFRA / "modules/flex_templates/example/plan.json").read_text())
    (content,) = [resource["content"]["json"] for resource in plan.values()]
    launcher = (REPOSITORY / "beam_jobs/serve.py").read_text()
    options = re.findall(r'add_argument\("--([\w-]+)"(.*)\)$', launcher, flags=re.MULTILINE)
    wanted = {name: "required=True" in rest for name, rest in options if "store_true" not in rest}
    assert {each["name"]: not each["isOptional"] for each in content["metadata"]["parameters"]} == wanted


def test_nothing_else_writes_a_template() -> None:
    workflows = "".join(path.read_text() for path in (REPOSITORY / ".github/workflows").glob("*.yml"))
    assert "flex-template" not in workflows


def test_mlflow_reads_what_it_is_told() -> None:
    """By its source: importing MLflow's command line takes twelve seconds."""
    found = importlib.util.find_spec("mlflow")
    assert found and found.origin
    library = Path(found.origin).parent
    read = "".join(path.read_text() for path in (library / "cli").glob("*.py"))
    read += "".join((library / file).read_text() for file in ("environment_variables.py", "utils/cli_args.py"))
    module = (INFRA / "modules/mlflow/main.tf").read_text()
    told = re.findall(r"^    (MLFLOW_\w+) +=", module, flags=re.MULTILINE)
    assert "MLFLOW_BACKEND_STORE_URI" in told
    assert [name for name in told if f'"{name}"' not in read] == []


def test_a_retraining_is_told_by_the_name_of_its_dag() -> None:
    monitoring = (INFRA / "modules/monitoring/main.tf").read_text()
    pattern = re.search(r'workflow_name=monitoring\.regex\.full_match\(\\"([^\\]+)\\"\)', monitoring)
    assert pattern
    assert 'dag_settings(fleet, "retrain"' in (REPOSITORY / "dags/retrain.py").read_text()
    assert re.fullmatch(pattern[1], "income_retrain")


def test_the_jobs_are_told_by_their_names() -> None:
    from modelfleet.engines.dataflow_options import dataflow_name

    monitoring = (INFRA / "modules/monitoring/main.tf").read_text()
    patterns = re.findall(r'job_name=monitoring\.regex\.full_match\(\\"([^\\]+)\\"\)', monitoring)
    assert all(re.fullmatch(pattern, dataflow_name("income_by_state", "serve", "a home")) for pattern in patterns)
    assert len(patterns) == 2


def test_no_secret_has_a_value_in_terraform() -> None:
    files = sorted([*INFRA.glob("modules/**/*.tf"), *INFRA.glob("environments/**/*.tf")])
    assert files
    for path in files:
        assert not re.search(
            r"google_secret_manager_secret_version|google_service_account_key|password +=", path.read_text()
        ), path


def test_the_example_names_a_fleet() -> None:
    """The example of the platform names a fleet of the repository, with its task."""
    from modelfleet.spec import load_spec

    example = (INFRA / "modules/platform/example/main.tf").read_text()
    named = re.search(r'fleets += \{ (\w+) = "(\w+)" \}', example)
    assert named
    assert load_spec(REPOSITORY / f"fleets/{named[1]}.yaml").task == named[2]


def test_the_workflows_find_their_variables() -> None:
    """What Terraform puts out for GitHub is what the workflows read, by name."""
    outputs = (INFRA / "modules/platform/outputs.tf").read_text()
    block = re.search(r'^output "github_variables" \{\n(.*?)^\}', outputs, flags=re.MULTILINE | re.DOTALL)
    assert block
    workflows = "".join(path.read_text() for path in (REPOSITORY / ".github/workflows").glob("*.yml"))
    assert set(re.findall(r"^    ([A-Z_]+) +=", block[1], flags=re.MULTILINE)) == set(
        re.findall(r"vars\.(\w+)", workflows)
    )
