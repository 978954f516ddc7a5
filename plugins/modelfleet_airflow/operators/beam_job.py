"""The operator that stands in a DAG for a Beam job: cheap to import, does all its work in ``execute``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from modelfleet_airflow.dags.failures import retried_only_if_it_may_help

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from modelfleet_airflow.operators.beam_pipeline import ControlledBeamOperator


class BeamJobOperator(BaseOperator):
    """Runs ``python -m beam_jobs.<job>`` by the Beam provider's operator, on the engine the spec names.

    A job that says its input is wrong (exit code 2) fails at once; any other failure is retried as often as the spec
    says. The task's message is the job's last error line; the whole log stands in the task's log.

    On Dataflow the job's name is fixed by fleet, job and run, so that a retry goes on waiting for the job that the try
    before has submitted; a task that is killed or takes too long cancels it.

    Args:
        job: Which job: ``prepare``, ``train`` or ``score``.
        run: Folder of the loop's run, whose spec says where the job runs; usually the XCom of ``open_run``.
        spec: Instead of ``run``, a fleet's YAML file, for a job that belongs to no run; the job gets it as JSON, and
            the fleet's folder.
        arguments: More arguments of the job, by name without dashes; None leaves one out.
    """

    template_fields: Sequence[str] = ("run_folder", "arguments")
    template_fields_renderers: ClassVar[dict[str, str]] = {"arguments": "json"}
    ui_color = "#f4e3d7"

    def __init__(
        self,
        *,
        job: str,
        run: Any = None,
        spec: Path | str | None = None,
        arguments: Mapping[str, Any] | None = None,
        **operator_arguments: Any,
    ) -> None:
        super().__init__(**operator_arguments)
        if (run is None) == (spec is None):
            raise ValueError(f"task '{self.task_id}': give either run or spec")
        self.job = job
        self.run_folder = run
        self.spec_path = None if spec is None else str(spec)
        self.arguments = dict(arguments or {})
        self._pipeline: ControlledBeamOperator | None = None

    @retried_only_if_it_may_help()
    def execute(self, context: Context) -> None:
        """Run the job to its end.

        Raises:
            AirflowFailException: The input is wrong; it is not tried again.
            AirflowException: The job failed; its message has the last error line.
        """
        from modelfleet.engines.options import pipeline_options
        from modelfleet.engines.preflight import check_engine
        from modelfleet.home import Home
        from modelfleet.run import Run
        from modelfleet.spec.file import load_spec

        if self.run_folder is not None:
            run = Run.load(self.run_folder)
            check_engine(run.spec, self.job, run.home)
            options = pipeline_options(run.spec, self.job, run.home, run=run.record.run_id)
            self._run_job({"run": str(run.folder)}, options, context)
            return
        assert self.spec_path is not None
        home, spec = Home.from_environment(), load_spec(self.spec_path)
        check_engine(spec, self.job, home)
        with TemporaryDirectory(prefix="modelfleet-") as folder:
            document = Path(folder) / "spec.json"
            document.write_text(spec.model_dump_json(), encoding="utf-8")
            given = {"fleet_home": str(home.fleet(spec.fleet).root), "spec": str(document)}
            named = dict(sorted(self.arguments.items()))
            self._run_job(given, pipeline_options(spec, self.job, home, run=f"{named}"), context)

    def on_kill(self) -> None:
        """End the job with the task."""
        if self._pipeline is not None:
            self._pipeline.on_kill()

    def _run_job(self, given: Mapping[str, str], options: Mapping[str, Any], context: Context) -> None:
        from airflow.sdk.bases.operator import ExecutorSafeguard

        from modelfleet_airflow.operators.beam_pipeline import ControlledBeamOperator, dataflow_arguments

        self._pipeline = ControlledBeamOperator(
            task_id=self.task_id,
            py_file=f"beam_jobs.{self.job}",
            py_options=["-m"],
            py_interpreter=sys.executable,
            **dataflow_arguments({**given, **self.arguments, **options}),
            deferrable=False,  # the triggerer would run the whole pipeline itself
        )
        ExecutorSafeguard.tracker.set(self._pipeline)  # this task runs it, so it is no stray operator
        self._pipeline.execute(context)
