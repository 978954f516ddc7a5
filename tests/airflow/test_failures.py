"""Which errors Airflow retries, and the folder a run's name becomes."""

from __future__ import annotations

import re

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.errors import (
    BundleError,
    DataError,
    EngineUnavailableError,
    ModelfleetError,
    RegistryUnavailableError,
    ReleaseConflictError,
    SpecError,
    StepError,
)
from modelfleet_airflow.dags.failures import retried_only_if_it_may_help
from modelfleet_airflow.dags.loop_tasks import run_folder_name


@pytest.mark.parametrize("error", [SpecError, DataError, BundleError, StepError, ModelfleetError])
def test_what_a_second_try_would_only_repeat_is_final(error: type[ModelfleetError]) -> None:
    message = f"{error.__name__}: what went wrong"
    with pytest.raises(AirflowFailException, match=message) as caught, retried_only_if_it_may_help():
        raise error("what went wrong")
    assert isinstance(caught.value.__cause__, error)


@pytest.mark.parametrize(
    "error",
    [RegistryUnavailableError, EngineUnavailableError, ReleaseConflictError, ValueError, AirflowSkipException],
)
def test_everything_else_passes_unchanged(error: type[Exception]) -> None:
    with pytest.raises(error, match="what went wrong") as caught, retried_only_if_it_may_help():
        raise error("what went wrong")
    assert type(caught.value) is error


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_a_runs_folder_is_safe_and_its_own(first: str, second: str) -> None:
    name = run_folder_name(first)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", name)
    assert (name == run_folder_name(second)) == (first == second)


@pytest.mark.parametrize("run_id", ["demo_20261122T074000000001", "nightly-7"])
def test_a_name_that_is_safe_already_is_the_folders_name(run_id: str) -> None:
    assert run_folder_name(run_id) == run_id
