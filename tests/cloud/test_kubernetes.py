"""The manifests: Kubernetes' own schemas, the Flink operator's, the charts', and what this project promises beyond."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from tests.cloud.conftest import TOOLS

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "infra/kubernetes"
CHARTS = ("airflow", "mlflow")
KUBERNETES = "1.32"

Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    return [document for document in YAML(typ="safe").load_all(path.read_text()) if document]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what kustomize makes of the folder."""
    done = subprocess.run(["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("kubernetes") / "all.yaml"
    path.write_text(done.stdout)
    return path


@pytest.fixture(scope="module")
def manifests(rendered: Path) -> list[Manifest]:
    return read(rendered)


def strict(schema: Any) -> Any:
    """Return an OpenAPI schema as JSON schema that refuses what it does not know, as the API server does."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    if "properties" in made and not made.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    if made.get("x-kubernetes-int-or-string"):
        made = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    return made


@pytest.fixture(scope="module")
def flink_schema(tool: Any) -> Draft7Validator:
    """Return the operator's schema of a FlinkDeployment, out of the operator's own jar."""
    crd = json.loads((TOOLS / "flink-schemas/flinkdeployments.flink.apache.org-v1.json").read_text())
    version = next(each for each in crd["spec"]["versions"] if each["name"] == "v1beta1")
    schema = strict(version["schema"]["openAPIV3Schema"])
    # these belong to every object; a CRD's schema does not repeat them
    schema["properties"] |= {"apiVersion": {"const": "flink.apache.org/v1beta1"}, "kind": {"type": "string"}}
    schema["properties"]["metadata"] = {"type": "object"}
    return Draft7Validator(schema)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Yield every pod that the manifests describe, as a name and a pod's spec."""
    for each in of_kind(manifests, "Deployment"):
        yield each["metadata"]["name"], each["spec"]["template"]["spec"]
    for each in of_kind(manifests, "FlinkDeployment"):
        yield f"{each['metadata']['name']}, all", each["spec"]["podTemplate"]["spec"]
        yield f"{each['metadata']['name']}, task managers", each["spec"]["taskManager"]["podTemplate"]["spec"]


def unsafe(pod: Manifest) -> list[str]:
    """Return what Pod Security's level `restricted` refuses in a pod."""
    found = []
    whole = pod.get("securityContext", {})
    if not whole.get("runAsNonRoot") or not whole.get("runAsUser"):
        found.append("it may run as root")
    if whole.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        found.append("no seccomp profile")
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities", {}).get("drop") != ["ALL"]:
            found.append(container["name"])
    return found


def test_every_file_is_in_the_kustomization() -> None:
    named = {f"{name}" for name in read(FOLDER / "kustomization.yaml")[0]["resources"]}
    assert named == {path.name for path in FOLDER.glob("*.yaml")} - {
        "kustomization.yaml", *(f"{chart}-values.yaml" for chart in CHARTS),
    }  # fmt: skip


def test_kubernetes_accepts_its_own_kinds(tool: Any, manifests: list[Manifest], tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    with own.open("w") as file:
        YAML().dump_all([each for each in manifests if "flink.apache.org" not in each["apiVersion"]], file)
    done = tool("kubernetes-validate", "--strict", "--quiet", "-k", KUBERNETES, own)
    assert done.returncode == 0, done.stdout + done.stderr
    misspelt = tmp_path / "misspelt.yaml"
    misspelt.write_text(own.read_text().replace("podSelector:", "podSelecter:"))
    assert tool("kubernetes-validate", "--strict", "--quiet", "-k", KUBERNETES, misspelt).returncode != 0


def test_the_flink_operator_accepts_the_cluster(flink_schema: Draft7Validator, manifests: list[Manifest]) -> None:
    (cluster,) = of_kind(manifests, "FlinkDeployment")
    assert [error.message for error in flink_schema.iter_errors(cluster)] == []
    for path, value in ((("spec", "flinkVersion"), "v1_99"), (("spec", "taskManagers"), {})):
        wrong = copy.deepcopy(cluster)
        wrong[path[0]][path[1]] = value
        assert list(flink_schema.iter_errors(wrong)), path


@pytest.mark.parametrize("chart", CHARTS)
def test_the_chart_accepts_our_values(chart: str) -> None:
    schema = Draft7Validator(json.loads((Path(__file__).parent / f"schemas/{chart}.json").read_text()))
    (values,) = read(FOLDER / f"{chart}-values.yaml")
    assert [f"{list(error.absolute_path)}: {error.message}" for error in schema.iter_errors(values)] == []
    version = re.search(r"--version (\S+)", (FOLDER / f"{chart}-values.yaml").read_text())
    assert version is not None and f" {version[1]} " in schema.schema["$comment"]
    assert list(schema.iter_errors(values | {"imagez": {}}))
    assert list(schema.iter_errors(values | {"securityContexts" if chart == "airflow" else "strategy": "no"}))


def test_nothing_runs_as_root(manifests: list[Manifest]) -> None:
    described = dict(pods(manifests))
    assert len(described) == 3
    assert {name: found for name, pod in described.items() if (found := unsafe(pod))} == {}
    assert unsafe({"containers": [{"name": "a"}]}) == ["it may run as root", "no seccomp profile", "a"]
    (namespace,) = of_kind(manifests, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (airflow,) = read(FOLDER / "airflow-values.yaml")
    contexts = airflow["securityContexts"]
    assert (
        unsafe(
            {
                "securityContext": contexts["pod"],
                "containers": [{"name": "a", "securityContext": contexts["containers"]}],
            }
        )
        == []
    )
    (mlflow,) = read(FOLDER / "mlflow-values.yaml")
    both = mlflow["podSecurityContext"] | mlflow["securityContext"]
    assert (
        unsafe({"securityContext": both, "containers": [{"name": "a", "securityContext": mlflow["securityContext"]}]})
        == []
    )


def test_images_are_pinned_and_pods_have_limits(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests):
        for container in pod["containers"]:
            if container["name"] == "flink-main-container":  # the operator gives it image and resources
                continue
            assert re.search(r":\d[\w.-]+$", container["image"]), name
            assert container["resources"]["limits"]["memory"] and container["readinessProbe"], name
    (cluster,) = of_kind(manifests, "FlinkDeployment")
    assert re.fullmatch(r"flink:1\.19\.\d+-java17", cluster["spec"]["image"])


def test_the_network_is_closed_where_nobody_is_named(manifests: list[Manifest]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind(manifests, "NetworkPolicy")}
    assert policies["deny-by-default"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    for name, policy in policies.items():
        for rule in policy.get("ingress", []):
            assert rule.get("from"), f"{name} lets everybody in"


def test_a_policy_and_a_budget_name_pods_that_exist(manifests: list[Manifest]) -> None:
    """Labels are set by us, by the operator (`app`, `component`) or by Airflow's and MLflow's charts."""
    ours = [each["spec"]["template"]["metadata"]["labels"] for each in of_kind(manifests, "Deployment")]
    (cluster,) = of_kind(manifests, "FlinkDeployment")
    flink = [{"app": cluster["metadata"]["name"], "component": part} for part in ("jobmanager", "taskmanager")]
    charts = [{"tier": "airflow", "component": part} for part in ("api-server", "scheduler")]
    charts.append({"app.kubernetes.io/name": "mlflow"})
    selected = [each["spec"]["podSelector"] for each in of_kind(manifests, "NetworkPolicy")]
    selected += [each["spec"]["selector"] for each in of_kind(manifests, "PodDisruptionBudget")]
    for selector in selected:
        wanted = selector.get("matchLabels", {})
        assert any(wanted.items() <= labels.items() for labels in [*ours, *flink, *charts]), wanted


def test_airflow_is_told_where_the_cluster_is(manifests: list[Manifest]) -> None:
    (values,) = read(FOLDER / "airflow-values.yaml")
    env = {each["name"]: each["value"] for each in values["env"]}
    services = {
        f"{each['metadata']['name']}:{port['port']}"
        for each in of_kind(manifests, "Service")
        for port in each["spec"]["ports"]
    }
    (cluster,) = of_kind(manifests, "FlinkDeployment")
    assert env["MODELFLEET_FLINK_JOB_SERVER"] in services
    assert env["MODELFLEET_FLINK_REST"] == f"{cluster['metadata']['name']}-rest:8081"
    (job_server,) = of_kind(manifests, "Deployment")
    given = {each["name"]: each["value"] for each in job_server["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert given["FLINK_JOB_MANAGER"] == f"{cluster['metadata']['name']}-rest"
    (mlflow,) = read(FOLDER / "mlflow-values.yaml")
    assert env["MLFLOW_TRACKING_URI"] == f"http://{mlflow['fullnameOverride']}:{mlflow['service']['port']}"


def test_a_volume_that_is_mounted_exists(manifests: list[Manifest]) -> None:
    claims = {each["metadata"]["name"] for each in of_kind(manifests, "PersistentVolumeClaim")}
    for name, pod in pods(manifests):
        volumes = {each["name"]: each for each in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes), name
        used = {
            each["persistentVolumeClaim"]["claimName"] for each in volumes.values() if "persistentVolumeClaim" in each
        }
        assert used <= claims, name
