"""The register step: what the gate let through becomes a complete bundle, and the run is kept in the registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from modelfleet.bundles.merge import merge
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import send
from modelfleet.loop.aliases import reconcile
from modelfleet.loop.evaluation_table import append_evaluation
from modelfleet.loop.gate import read_decisions
from modelfleet.loop.run_report import run_report
from modelfleet.releases.guard import bundles_in_place
from modelfleet.releases.ledger import Ledger

if TYPE_CHECKING:
    from modelfleet.gating.decision import Decisions
    from modelfleet.registry.base import Registry
    from modelfleet.run import Run


@dataclass(frozen=True)
class Registered:
    """Where a run and its bundle were kept.

    Attributes:
        mlflow_run_id: The registry's id of the run.
        model_version: The version of the bundle; None where the gate refused the run.
        bundle: Folder or URL of the bundle; None likewise.
        bundle_sha256: Its hash; None likewise.
        experiment_url: The page of all runs of the fleet.
        run_url: The page of this run.
    """

    mlflow_run_id: str
    model_version: str | None
    bundle: str | None
    bundle_sha256: str | None
    experiment_url: str
    run_url: str


def register(run: Run, registry: Registry | None = None) -> Registered:
    """Merge the accepted models with the champion's others, and keep run and bundle in the registry.

    A refused run is kept too, without a version. Calling it again does nothing twice: the bundle is named after its
    content, and the registry knows the run.

    Args:
        run: A run whose gate has decided.
        registry: None means MLflow, as the environment says.

    Raises:
        StepError: A step before this one has not run.
        BundleError: The candidate or the champion is damaged, or nothing at all would serve.
        StoreUnavailableError: The bucket that the bundle is published in does not answer.
        DataError: The table of ``evaluation.table`` is not there, or is another.
        DataUnavailableError: It does not answer.
        RegistryUnavailableError: The registry does not answer.
        FleetBusyError: Bundles are being removed from the bucket, and were for longer than one waits.
    """
    with bundles_in_place(run.fleet_home.root):  # until the run says that it needs the merged one
        return _register(run, registry)


def _register(run: Run, registry: Registry | None) -> Registered:
    decisions = read_decisions(run)
    bundle = None if decisions.refused else merged_bundle(run, decisions)
    registry = registry or default_registry(run)
    logged = registry.log_run(run_report(run, decisions), bundle)
    append_evaluation(run)
    reconcile(run.spec.fleet, Ledger(run.fleet_home.releases), registry)  # after a rollback made by hand, say
    with _published(run, bundle) as at:
        result = Registered(
            mlflow_run_id=logged.run_id,
            model_version=logged.model_version,
            bundle=at,
            bundle_sha256=None if bundle is None else bundle.sha256,
            experiment_url=logged.experiment_url,
            run_url=logged.run_url,
        )
        run.write("register", asdict(result))
    return result


@contextmanager
def _published(run: Run, bundle: Bundle | None) -> Iterator[str | None]:
    """Give where a release finds the bundle, once it is there; it stays at least for the length of the block."""
    home = run.fleet_home
    if bundle is None:
        yield None
    elif home.shared is None or home.published is None:
        yield str(bundle.path)
    else:
        with bundles_in_place(home.shared):  # not before the registry was asked, which may take long
            yield send(bundle, home.published)


def merged_bundle(run: Run, decisions: Decisions) -> Bundle:
    """Return the complete bundle a run's decisions make of candidate and champion."""
    return merge(
        run.fleet_home.bundles,
        champion=run.champion(),
        candidate=Bundle.open(run.candidate, verify=False),
        accepted=decisions.accepted,
        retired=decisions.retired,
        pooled_accepted=decisions.pooled_accepted,
        run_id=run.record.run_id,
    )


def default_registry(run: Run) -> Registry:
    """Return MLflow, as the environment says."""
    from modelfleet.registry.mlflow import MlflowRegistry

    return MlflowRegistry.for_home(run.home)
