"""Each check is seen to fail: what a hand may mistype in a module is found without Google."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.tests.golden import RUN, golden_file, shown
from infra.tests.workspace import Workspace

Change = Callable[[str, str, str], Workspace]


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        pytest.param(
            "modules/network/main.tf",
            "private_ip_google_access = true",
            "private_ip_google_acess = true",
            'An argument named "private_ip_google_acess" is not expected here',
            id="a misspelt argument",
        ),
        pytest.param(
            "modules/network/main.tf",
            "flow_sampling        = 0.1",
            'flow_sampling        = "some"',
            "a number is required",
            id="a wrong type",
        ),
        pytest.param(
            "modules/artifact_registry/main.tf",
            '  format        = "DOCKER"\n',
            "",
            'The argument "format" is required',
            id="a missing argument",
        ),
        pytest.param(
            "modules/network/main.tf",
            "project                 = var.project",
            "project                 = var.projekt",
            'An input variable with the name "projekt" has not been declared',
            id="an undeclared variable",
        ),
        pytest.param(
            "modules/pubsub/main.tf",
            '"PROTOCOL_BUFFER"',
            '"PROTOBUF"',
            '"PROTOBUF" is not a possible value. The provider\'s documentation allows: TYPE_UNSPECIFIED, ',
            id="a value that is none",
        ),
        pytest.param(
            "modules/database/main.tf",
            "    ip_configuration {",
            "    ip_configurations {",
            'Blocks of type "ip_configurations" are not expected here',
            id="a misspelt block",
        ),
        pytest.param(
            "modules/ci/main.tf",
            "  oidc {\n    issuer_uri = local.issuer\n  }\n",
            "  oidc {\n    issuer_uri = local.issuer\n  }\n" * 2,
            "No more than 1",
            id="a block too many",
        ),
        pytest.param(
            "modules/services/main.tf",
            '"google_project_service" "this"',
            '"google_project_services" "this"',
            "google_project_services",
            id="a resource that is none",
        ),
        pytest.param(
            "modules/platform/main.tf",
            '  source  = "../services"\n  project = var.project',
            '  source = "../services"',
            'The argument "project" is required',
            id="a module's missing argument",
        ),
    ],
)
def test_validate_finds(changed: Change, file: str, old: str, new: str, complaint: str) -> None:
    found = changed(file, old, new).validate(file.rpartition("/")[0])
    assert any(complaint in one for one in found), found


def test_a_false_assertion_fails(changed: Change) -> None:
    copy = changed("modules/database/main.tf", "ipv4_enabled    = false", "ipv4_enabled    = true")
    tested = copy.test("modules/database")
    assert tested.outcomes["private_and_encrypted"] == "fail"
    assert any("no public address" in complaint for complaint in tested.complaints)


def test_a_rule_that_refuses_nothing_fails(changed: Change) -> None:
    copy = changed(
        "modules/budget/variables.tf", "var.amount >= 1 && floor(var.amount) == var.amount", "var.amount > 0"
    )
    assert copy.test("modules/budget").outcomes["no_amount"] == "error"


def test_another_plan_is_noticed(changed: Change) -> None:
    copy = changed(
        "modules/database/main.tf", 'disk_type                   = "PD_SSD"', 'disk_type                   = "PD_HDD"'
    )
    assert shown(copy.test("modules/database").plans[RUN]) != golden_file("modules/database").read_text()


def test_what_is_not_formatted_is_found(changed: Change) -> None:
    copy = changed("modules/budget/outputs.tf", "  value       =", "  value =")
    done = copy.terraform("modules", "fmt", "-check", "-recursive")
    assert done.returncode
    assert done.stdout.split() == ["budget/outputs.tf"]


def test_the_stand_in_refuses_to_plan(workspace: Workspace) -> None:
    """Taken for the real provider by mistake, it must not look as if anything had been made."""
    workspace.ready("modules/services")
    done = workspace.terraform("modules/services", "plan", "-input=false", "-var=project=acme-fleets-dev")
    assert done.returncode
    assert "schema-only stand-in" in " ".join(done.stderr.split())
