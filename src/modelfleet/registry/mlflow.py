"""The MLflow adapter: one run per run of the loop, one model version per accepted bundle."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelfleet.registry.artifacts import log_dataset, log_tables, table_tag
from modelfleet.registry.base import CHAMPION, Logged, RunReport
from modelfleet.registry.session import mlflow_session, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

    from modelfleet.bundles.reader import Bundle
    from modelfleet.home import Home
    from modelfleet.releases.manifest import Release

logger = logging.getLogger(__name__)

RUN_ID = "modelfleet.run_id"
COMPLETE = "modelfleet.complete"
MODEL_ID = "modelfleet.model_id"
SHA256 = "bundle_sha256"
GENERATION = "generation"
LONGEST_PARAM = 6000
LONGEST_TAG = 5000


@dataclass(frozen=True)
class Kept:
    """A complete run in MLflow.

    Attributes:
        run_id: MLflow's id of it.
        model_id: Of the model logged with it; None where the gate refused.
    """

    run_id: str
    model_id: str | None


class MlflowRegistry:
    """MLflow at a tracking URI; nothing is asked before the first call."""

    def __init__(self, uri: str, *, artifacts: str | None = None) -> None:
        """Point at an MLflow.

        Args:
            uri: A tracking URI: a server's address, or ``sqlite:///...``.
            artifacts: Where artifacts of new experiments go; None leaves it to the server.
        """
        self._uri = uri
        self._artifacts = artifacts

    @classmethod
    def for_home(cls, home: Home) -> MlflowRegistry:
        """Return the registry ``$MLFLOW_TRACKING_URI`` names, or a SQLite one below the home folder."""
        uri = tracking_uri(home)
        artifacts = None
        if uri.startswith("sqlite:"):
            home.mlflow.mkdir(parents=True, exist_ok=True)
            artifacts = str(home.mlflow / "artifacts")
        return cls(uri, artifacts=artifacts)

    @property
    def uri(self) -> str:
        """The tracking URI."""
        return self._uri

    def log_run(self, report: RunReport, bundle: Bundle | None) -> Logged:
        """See ``Registry``; a run that was kept only in part is deleted and kept anew."""
        with mlflow_session(self._uri) as client:
            experiment = self._experiment(client, report.fleet)
            version = None if bundle is None else _known_version(client, report.fleet, bundle)
            missing = bundle if version is None else None
            kept = _complete_run(client, experiment, report.run_id, with_model=missing is not None)
            if kept is None:
                kept = self._log(client, experiment, report, missing)
            if missing is not None:
                version = _new_version(client, report, missing, kept)
            page = f"{self._uri}/#/experiments/{experiment.experiment_id}"
            return Logged(kept.run_id, f"{page}/runs/{kept.run_id}", page, version)

    def reconcile(self, fleet: str, releases: Sequence[Release]) -> None:
        """See ``Registry``: the alias, and the newest generation of each version as a tag."""
        with mlflow_session(self._uri) as client:
            versions = {str(v.version): v for v in client.search_model_versions(f"name='{fleet}'")}
            if not versions or not releases:
                return
            for number, generation in {r.model_version: r.generation for r in releases if r.model_version}.items():
                version = versions.get(number)
                if version is None:
                    logger.warning("generation %s names version %s, which '%s' lacks", generation, number, fleet)
                elif version.tags.get(GENERATION) != str(generation):
                    client.set_model_version_tag(fleet, number, GENERATION, str(generation))
                    if version.run_id:
                        client.set_tag(version.run_id, GENERATION, str(generation))
            model = client.get_registered_model(fleet)
            newest = releases[-1]
            if int(model.tags.get(GENERATION, 0)) < newest.generation:
                client.set_registered_model_tag(fleet, GENERATION, str(newest.generation))
            serving, alias = newest.model_version, model.aliases.get(CHAMPION)
            if serving in versions and str(alias) != serving:
                client.set_registered_model_alias(fleet, CHAMPION, serving)
            elif serving not in versions and alias is not None:
                client.delete_registered_model_alias(fleet, CHAMPION)

    def champion(self, fleet: str) -> str | None:
        """See ``Registry``."""
        with mlflow_session(self._uri) as client:
            models = client.search_registered_models(f"name='{fleet}'")
            alias = models[0].aliases.get(CHAMPION) if models else None
            return None if alias is None else str(alias)

    def aliased(self, fleet: str) -> dict[str, str]:
        """See ``Registry``."""
        with mlflow_session(self._uri) as client:
            models = client.search_registered_models(f"name='{fleet}'")
            found = {}
            for alias, version in (models[0].aliases if models else {}).items():
                sha256 = client.get_model_version(fleet, str(version)).tags.get(SHA256)
                if sha256 is not None:
                    found[sha256] = alias
            return found

    def floor(self, fleet: str) -> int:
        """See ``Registry``."""
        with mlflow_session(self._uri) as client:
            models = client.search_registered_models(f"name='{fleet}'")
            return int(models[0].tags.get(GENERATION, 0)) if models else 0

    def _experiment(self, client: MlflowClient, fleet: str) -> Experiment:
        from mlflow.exceptions import MlflowException

        name = f"modelfleet/{fleet}"
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                client.create_experiment(name, self._artifacts and f"{self._artifacts}/{fleet}")
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was as quick
                    raise
            found = client.get_experiment_by_name(name)
        if found.lifecycle_stage == "deleted":
            client.restore_experiment(found.experiment_id)
        return found

    def _log(self, client: MlflowClient, experiment: Experiment, report: RunReport, bundle: Bundle | None) -> Kept:
        from mlflow.entities import Metric, Param, RunTag

        tags = {**report.tags, RUN_ID: report.run_id, "mlflow.note.content": report.note, **table_tag()}
        tags = {name: text[:LONGEST_TAG] for name, text in tags.items()}
        run = client.create_run(experiment.experiment_id, tags=tags, run_name=report.run_id)
        run_id = run.info.run_id
        params = [Param(name, text[:LONGEST_PARAM]) for name, text in sorted(report.params.items())]
        client.log_batch(run_id, params=params)
        if report.dataset is not None:
            log_dataset(client, run_id, report.dataset)
        log_tables(client, run_id, report)
        for name, path in report.files.items():
            client.log_artifact(run_id, str(path), name)
        model_id = None if bundle is None else _log_model(run_id, report, bundle)
        now = int(time.time() * 1000)
        metrics = [Metric(name, number, now, 0, model_id=model_id) for name, number in sorted(report.metrics.items())]
        done = [RunTag(COMPLETE, "true")] + ([RunTag(MODEL_ID, model_id)] if model_id else [])
        client.log_batch(run_id, metrics=metrics, tags=done)  # of a batch, MLflow writes the tags last
        if bundle is None:  # else logging the model has ended the run
            client.set_terminated(run_id)
        return Kept(run_id, model_id)


def _complete_run(client: MlflowClient, experiment: Experiment, run_id: str, *, with_model: bool) -> Kept | None:
    complete = None
    for run in client.search_runs([experiment.experiment_id], f"tags.`{RUN_ID}` = '{run_id}'"):
        tags = run.data.tags
        if tags.get(COMPLETE) == "true" and (MODEL_ID in tags or not with_model):
            complete = Kept(run.info.run_id, tags.get(MODEL_ID))
        else:
            logger.info("MLflow run %s was kept in part only; it is kept anew", run.info.run_id)
            client.delete_run(run.info.run_id)
    return complete


def _known_version(client: MlflowClient, fleet: str, bundle: Bundle) -> str | None:
    found = client.search_model_versions(f"name='{fleet}' and tag.{SHA256}='{bundle.sha256}'")
    return None if not found else str(min(int(version.version) for version in found))


def _new_version(client: MlflowClient, report: RunReport, bundle: Bundle, kept: Kept) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            report.fleet, description="A modelfleet fleet: each version is a complete bundle of all entities' models."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        report.fleet,
        source=f"models:/{kept.model_id}",
        run_id=kept.run_id,
        model_id=kept.model_id,
        tags={SHA256: bundle.sha256, "run_id": report.run_id, "gate": report.tags.get("gate", "")},
        description=report.note[:LONGEST_TAG],
    )
    return str(version.version)


def _log_model(run_id: str, report: RunReport, bundle: Bundle) -> str:
    """Log the bundle as a pyfunc model of the run, with our own source beside it, and return the model's id."""
    from modelfleet.registry.own_code import own_code
    from modelfleet.registry.requirements import requirements
    from modelfleet.registry.signature import signature

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint is inferred as AnyType")  # MLflow's import, of its own types
        warnings.filterwarnings("ignore", ".*An input example was not provided")  # it would load the model to try it
        import mlflow.pyfunc

        with mlflow.start_run(run_id=run_id), own_code() as code:
            info = mlflow.pyfunc.log_model(
                name=report.fleet,
                loader_module="modelfleet.registry.pyfunc",
                data_path=str(bundle.path),
                code_paths=[str(code)],
                pip_requirements=requirements(bundle),
                signature=signature(bundle),
                metadata={"fleet": report.fleet, SHA256: bundle.sha256, "entities": len(bundle.entities)},
            )
    return str(info.model_id)
