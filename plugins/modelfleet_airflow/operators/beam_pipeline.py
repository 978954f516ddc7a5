"""The Beam provider's operator, with the process it starts under control. Imported only while a task runs.

Importing the provider costs half a second, and Airflow would pay it again for every task of a DAG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow.providers.apache.beam.hooks.beam import BeamHook, BeamRunnerType, beam_options_to_args
from airflow.providers.apache.beam.operators.beam import (
    GOOGLE_PROVIDER,
    BeamDataflowMixin,
    BeamRunPythonPipelineOperator,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from modelfleet.errors import InputError, RetryableError
from modelfleet_airflow.operators.child_process import ChildProcess

POLL_SECONDS = 5
"""How often the provider looks at a job that its launcher has waited for already."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Beam's workers are the parallelism; BLAS threads inside each made a job seven times slower."""


class ControlledBeamHook(BeamHook):
    """Starts a pipeline through a ChildProcess and tells by its exit code whether a retry may help.

    Args:
        runner: Name or class path of the runner.
        child: What runs the command.
    """

    def __init__(self, runner: str, child: ChildProcess) -> None:
        super().__init__(runner=runner)
        self._child = child

    def start_python_pipeline(
        self,
        variables: dict[str, Any],
        py_file: str,
        py_options: list[str],
        py_interpreter: str = "python3",
        py_requirements: list[str] | None = None,
        py_system_site_packages: bool = False,
        process_line_callback: Callable[[str], None] | None = None,
        is_dataflow_job_id_exist_callback: Callable[[], bool] | None = None,
    ) -> None:
        """Run the pipeline; the provider's method also starts a process only to log Beam's version, this one does not.

        Raises:
            AirflowFailException: The job says that its input is wrong.
            AirflowException: It failed otherwise, and a retry may help.
        """
        if py_requirements is not None:
            raise AirflowFailException("py_requirements: a job uses the environment it is started from")
        labels = variables.pop("labels", {})
        command = [py_interpreter, *py_options, py_file, f"--runner={self.runner}", *beam_options_to_args(variables)]
        command += [f"--labels={key}={value}" for key, value in labels.items()]
        # To its end also on Dataflow, where the provider would leave it once it knows the job's id: it waits for the
        # job, and has work to do after it
        code = self._child.run(command, environment=ONE_THREAD, each_line=process_line_callback)
        if code == 0:
            return
        what = f"signal {-code}" if code < 0 else f"exit code {code}"
        message = f"{py_file} ended with {what}: {self._child.last_error()}"
        if code == InputError.exit_code:
            raise AirflowFailException(message)
        if code == RetryableError.exit_code:
            raise AirflowException(f"{message} (an outside system failed; a retry may help)")
        raise AirflowException(message)


class _GoogleOnlyForDataflow(BeamDataflowMixin):
    """Comes before the provider's class among the bases, which refuses every runner without the Google provider."""

    def __init__(self) -> None:
        if GOOGLE_PROVIDER:
            super().__init__()


class ControlledBeamOperator(BeamRunPythonPipelineOperator, _GoogleOnlyForDataflow):
    """BeamRunPythonPipelineOperator whose pipeline ends with the task, whatever ends the task."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._child = ChildProcess(self.log)

    def _init_pipeline_options(self, *args: Any, **kwargs: Any) -> Any:
        result = super()._init_pipeline_options(*args, **kwargs)
        self.beam_hook = ControlledBeamHook(self.runner, self._child)
        return result

    def _cast_dataflow_config(self) -> None:
        # For other runners the provider only warns of a configuration nobody gave, and needs the Google provider
        if self.runner.lower() == BeamRunnerType.DataflowRunner.lower():
            super()._cast_dataflow_config()

    def execute_on_dataflow(self, context: Any) -> dict[str, str | None]:
        """Run the job; where the launcher found that nothing was left to do, there is none to look at."""
        from airflow.providers.google.cloud.links.dataflow import DataflowJobLink

        self.beam_hook.start_python_pipeline(
            variables=self.snake_case_pipeline_options,
            py_file=self.py_file,
            py_options=self.py_options,
            py_interpreter=self.py_interpreter,
            process_line_callback=self.process_line_callback,
        )
        if self.dataflow_job_id is not None:
            where = {"project_id": self.dataflow_config.project_id, "job_id": self.dataflow_job_id}
            region = self.dataflow_config.location
            DataflowJobLink.persist(context=context, region=region, **where)
            self.dataflow_hook.wait_for_done(job_name=self.dataflow_job_name, location=region, **where)
        return {"dataflow_job_id": self.dataflow_job_id}

    def on_kill(self) -> None:
        """End the pipeline: Airflow's own calls this when the task times out or is marked as failed.

        On Dataflow the launcher cancels its job when it is asked to end, and so does the provider, in case that the
        launcher is killed before it has.
        """
        self._child.stop()
        super().on_kill()


def dataflow_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operator's arguments about the engine.

    Args:
        options: The job's arguments and pipeline options.

    Returns:
        ``runner`` and ``pipeline_options``; on Dataflow also ``dataflow_config``, with the fixed name of the job.
    """
    given = {name: value for name, value in options.items() if name != "runner"}
    runner = str(options["runner"])
    if runner.lower() != BeamRunnerType.DataflowRunner.lower():
        return {"runner": runner, "pipeline_options": given}
    from airflow.providers.google.cloud.operators.dataflow import DataflowConfiguration

    given["labels"] = dict(label.split("=", 1) for label in given.get("labels", ()))
    return {
        "runner": runner,
        "pipeline_options": given,
        "dataflow_config": DataflowConfiguration(
            job_name=given["job_name"],
            append_job_name=False,  # with something random behind it no retry would find the job
            project_id=given["project"],
            location=given["region"],
            wait_until_finished=True,
            poll_sleep=POLL_SECONDS,
            drain_pipeline=False,
        ),
    }
