"""Each rule of the gate, and that each can say no."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from modelfleet.errors import SpecError, StepError
from modelfleet.gating.decide import decide
from modelfleet.gating.decision import Decisions, EntityDecision, Outcome
from modelfleet.spec.gate import GatePolicy


def policy(**fields: object) -> GatePolicy:
    return GatePolicy.model_validate(fields)


def only(decisions: Decisions) -> EntityDecision:
    assert len(decisions.entities) == 1
    return decisions.entities[0]


# change


def test_change_promotes_what_is_proven_better(case: SimpleNamespace) -> None:
    found = decide(case.table(case.evaluated()), policy(), intent="change")
    assert found.accepted == {"Masters"} and not found.refused
    assert only(found).sentence == (
        "Masters: brier 0.121 against the champion's 0.139 on 340 rows, difference -0.018 (p 0.001, q 0.001): promoted"
    )
    assert only(found).reference == "champion" and only(found).difference == -0.018


def test_change_keeps_what_is_only_estimated_better(case: SimpleNamespace) -> None:
    found = decide(case.table(case.evaluated(diff_champion_se=0.02)), policy(), intent="change")
    assert only(found).outcome is Outcome.KEEP
    assert only(found).sentence.endswith("not proven better: the champion stays")


def test_change_pays_for_the_number_of_its_tests(case: SimpleNamespace) -> None:
    lucky = case.evaluated("lucky", diff_champion_se=0.0105)  # p 0.044
    rest = [case.evaluated(f"e{i}", diff_champion_mean=0.001, candidate_loss=0.14) for i in range(5)]
    alone = decide(case.table(lucky), policy(), intent="change")
    crowd = decide(case.table(lucky, *rest), policy(), intent="change")
    assert alone.accepted == {"lucky"} and crowd.accepted == frozenset()
    assert crowd.entities[0].q_value == pytest.approx(6 * crowd.entities[0].p_value)


# refresh


def test_refresh_promotes_what_is_not_worse_and_estimated_better(case: SimpleNamespace) -> None:
    row = case.evaluated(candidate_loss=0.138, diff_champion_mean=-0.001, diff_champion_se=0.002)
    found = decide(case.table(row), policy(margin=0.02), intent="refresh")
    assert only(found).outcome is Outcome.PROMOTE and only(found).q_value is None
    assert decide(case.table(row), policy(margin=0.02), intent="change").accepted == frozenset()


def test_refresh_keeps_what_is_estimated_worse(case: SimpleNamespace) -> None:
    row = case.evaluated(candidate_loss=0.1391, diff_champion_mean=0.0001, diff_champion_se=0.00001)
    found = decide(case.table(row), policy(margin=0.5), intent="refresh")
    assert only(found).outcome is Outcome.KEEP and "not better" in only(found).sentence


def test_refresh_keeps_what_may_be_worse_by_more_than_the_margin(case: SimpleNamespace) -> None:
    row = case.evaluated(candidate_loss=0.138, diff_champion_mean=-0.001, diff_champion_se=0.01)
    found = decide(case.table(row), policy(margin=0.02), intent="refresh")
    assert only(found).outcome is Outcome.KEEP and "not proven within the margin of 0.003" in only(found).sentence


def test_intent_may_differ_between_entities(case: SimpleNamespace) -> None:
    close = {"candidate_loss": 0.138, "diff_champion_mean": -0.001, "diff_champion_se": 0.002}
    rows = case.table(case.evaluated("a", **close), case.evaluated("b", **close))
    found = decide(rows, policy(), intent={"a": "refresh"})
    assert found.accepted == {"a"} and found.intent == "mixed"


# the first champion


def test_first_model_must_beat_the_baseline_and_the_pooled_model(case: SimpleNamespace) -> None:
    found = decide(
        case.table(case.first(), case.shared(has_champion=False, diff_champion_n=0)), policy(), intent="change"
    )
    assert found.accepted == {"Masters"} and found.pooled_accepted
    assert found.entities[0].reference == "baseline"
    assert "against the baseline's 0.180" in found.entities[0].sentence
    assert "the new pooled model's 0.130" in found.entities[0].sentence


def test_first_model_no_better_than_a_constant_is_pooled(case: SimpleNamespace) -> None:
    row = case.first(diff_baseline_mean=-0.001, diff_baseline_se=0.01)
    found = decide(case.table(row, case.shared()), policy(), intent="change")
    assert found.entities[0].outcome is Outcome.POOLED
    assert "not proven better than a constant: served by the pooled model" in found.entities[0].sentence


def test_first_model_worse_than_the_pooled_one_is_pooled(case: SimpleNamespace) -> None:
    row = case.first(diff_pooled_mean=0.01)
    found = decide(case.table(row, case.shared()), policy(), intent="refresh")
    assert found.entities[0].outcome is Outcome.POOLED and found.entities[0].reference == "pooled"
    inside = case.first(diff_pooled_mean=0.002)
    assert decide(case.table(inside), policy(margin=0.02), intent="refresh").accepted == {"Masters"}


def test_an_entity_served_by_the_pooled_model_is_decided_as_a_first_one(case: SimpleNamespace) -> None:
    row = case.evaluated(has_champion=False)
    found = decide(case.table(row, case.shared(diff_champion_mean=0.1)), policy(), intent="change")
    assert found.entities[0].reference == "baseline" and not found.pooled_accepted
    assert "and the serving pooled model's 0.139" in found.entities[0].sentence
    found = decide(case.table(row, case.shared()), policy(), intent="change")
    assert found.pooled_accepted and "and the new pooled model's 0.130" in found.entities[0].sentence
    for worse in ({"diff_pooled_mean": 0.01}, {"diff_baseline_mean": -0.001, "diff_baseline_se": 0.01}):
        row = case.evaluated(has_champion=False, **worse)
        assert decide(case.table(row, case.shared()), policy(), intent="change").entities[0].outcome is Outcome.POOLED


# the pooled model


def test_pooled_model_has_its_own_gate(case: SimpleNamespace) -> None:
    good, bad = case.shared(), case.shared(diff_champion_mean=0.001, candidate_loss=0.14)
    assert decide(case.table(case.evaluated(), good), policy(), intent="change").pooled_accepted
    kept = decide(case.table(case.evaluated(), bad), policy(), intent="change")
    assert kept.pooled is not None and kept.pooled.outcome is Outcome.KEEP and not kept.pooled_accepted
    assert kept.pooled.sentence.startswith("pooled model: brier") and kept.accepted == {"Masters"}


def test_first_pooled_model_need_only_be_estimated_better_than_the_baseline(case: SimpleNamespace) -> None:
    none = {"has_champion": False, "diff_champion_n": 0}
    doubtful = case.shared(**none, diff_baseline_mean=-0.001, diff_baseline_se=0.01)
    assert decide(case.table(case.first(), doubtful), policy(), intent="change").pooled_accepted
    good, bad = case.shared(**none), case.shared(**none, diff_baseline_mean=0.0)
    assert decide(case.table(case.first(), good), policy(), intent="change").pooled_accepted
    found = decide(case.table(case.first(has_candidate=False), bad), policy(), intent="change")
    assert found.refused and not found.pooled_accepted
    assert found.entities[0].sentence.endswith("not served, since the fleet has no pooled model")


# what cannot be decided


@pytest.mark.parametrize("intent", ["refresh", "change"])
def test_too_few_independent_rows(case: SimpleNamespace, intent: str) -> None:
    few = {"rows_independent": 9, "diff_champion_n": 9, "diff_pooled_n": 9, "diff_baseline_n": 9}
    champion = only(decide(case.table(case.evaluated(**few)), policy(), intent=intent))  # type: ignore[arg-type]
    assert champion.outcome is Outcome.UNDECIDABLE
    assert "9 independent holdout rows prove nothing (gate.min_holdout_rows is 10)" in champion.sentence
    rows = case.table(case.first(**few | {"diff_champion_n": 0}))
    assert only(decide(rows, policy(), intent=intent)).outcome is Outcome.POOLED  # type: ignore[arg-type]
    enough = decide(case.table(case.evaluated(**few)), policy(min_holdout_rows=9), intent=intent)  # type: ignore[arg-type]
    assert enough.accepted == {"Masters"}


def test_an_empty_holdout(case: SimpleNamespace) -> None:
    none = {"rows_holdout": 0, "rows_independent": 0, "candidate_loss": np.nan, "diff_champion_n": 0}
    found = only(decide(case.table(case.evaluated(**none)), policy(), intent="change"))
    assert found.outcome is Outcome.UNDECIDABLE and found.candidate_loss is None


def test_a_champion_that_saw_the_holdout_is_no_reference(case: SimpleNamespace) -> None:
    row = case.evaluated(reference_valid=False, reference_note="champion was trained with another split")
    found = only(decide(case.table(row), policy(), intent="change"))
    assert found.outcome is Outcome.UNDECIDABLE and found.p_value is None
    assert "not comparable with the champion: champion was trained with another split" in found.sentence
    assert decide(case.table(row), policy(), intent="change", force=True).forced == {"Masters"}


def test_a_champion_without_prediction(case: SimpleNamespace) -> None:
    row = case.evaluated(champion_loss=np.nan, diff_champion_n=0, diff_champion_mean=np.nan)
    found = only(decide(case.table(row), policy(), intent="change"))
    assert found.outcome is Outcome.KEEP or found.outcome is Outcome.UNDECIDABLE
    assert "the champion predicts nothing on some of its rows" in found.sentence


# what is not fit to serve


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("changes", "thresholds", "said"),
    [
        ({"candidate_accuracy": 0.69}, {"accuracy": {"min": 0.7}}, "accuracy 0.690 is below the required 0.7"),
        ({"candidate_loss": 0.3}, {"loss": {"max": 0.25}}, "loss 0.300 is above the allowed 0.25"),
        ({"candidate_roc_auc": np.nan}, {"roc_auc": {"min": 0.6}}, "roc_auc is undefined on its 340 holdout rows"),
        ({"failure": "one class only", "has_candidate": False}, {}, "one class only"),
        ({"has_candidate": False, "rows_train": 7}, {}, "no candidate was trained on its 7 training rows"),
        ({"candidate_loss": np.nan}, {}, "no finite prediction for some of its 340 holdout rows"),
    ],
)
def test_unfit_candidates_never_serve(
    case: SimpleNamespace, changes: dict[str, object], thresholds: dict[str, object], said: str, force: bool
) -> None:
    rules = policy(thresholds=thresholds)
    champion = decide(case.table(case.evaluated(**changes)), rules, intent="change", force=force)
    assert only(champion).outcome is Outcome.KEEP and said in only(champion).sentence and champion.refused
    new = decide(case.table(case.first(**changes)), rules, intent="change", force=force)
    assert only(new).outcome is Outcome.POOLED and said in only(new).sentence


def test_an_unknown_threshold_is_named(case: SimpleNamespace) -> None:
    with pytest.raises(SpecError, match="'roc_auk' is not measured for this task; did you mean 'roc_auc'"):
        decide(case.table(case.evaluated()), policy(thresholds={"roc_auk": {"min": 0.5}}), intent="change")


@pytest.mark.parametrize("force", [False, True])
def test_quarantined_entities_keep_what_serves_them(case: SimpleNamespace, force: bool) -> None:
    rows = case.table(case.evaluated("in"), case.evaluated("fine"))
    found = decide(
        rows, policy(), intent="change", force=force, champion={"in", "out", "fine", "gone"},
        quarantined={"in": "age below 0", "out": "no rows", "new": "no rows"},
    )  # fmt: skip
    by = {d.entity: d for d in found.entities}
    assert found.accepted == {"fine"}
    assert by["in"].outcome is Outcome.KEEP and by["out"].outcome is Outcome.KEEP
    assert by["in"].sentence == "in: quarantined by validation: age below 0: the champion stays"
    assert by["new"].outcome is Outcome.POOLED
    assert found.absent == 1 and "gone" not in by


# force


@pytest.mark.parametrize("changes", [{"diff_champion_mean": 0.02}, {"rows_independent": 3, "diff_champion_n": 3}])
def test_force_overrides_the_comparison(case: SimpleNamespace, changes: dict[str, object]) -> None:
    found = decide(case.table(case.evaluated(**changes)), policy(), intent="refresh", force=True)
    assert found.accepted == {"Masters"} and found.forced == {"Masters"}
    assert only(found).sentence.endswith(": promoted by force")


def test_force_marks_only_what_needed_it(case: SimpleNamespace) -> None:
    assert decide(case.table(case.evaluated()), policy(), intent="change", force=True).forced == frozenset()


# the fleet


def test_too_small_a_share_refuses_the_run(case: SimpleNamespace) -> None:
    bad = [case.evaluated(f"bad{i}", diff_champion_mean=0.02) for i in range(3)]
    rows = case.table(case.evaluated(), *bad, case.shared())
    assert decide(rows, policy(smallest_accepted_share=0.25), intent="change").accepted == {"Masters"}
    found = decide(rows, policy(smallest_accepted_share=0.3), intent="change")
    assert found.refused and found.accepted == frozenset() and not found.pooled_accepted
    assert found.reason.startswith("1 of 4 candidates accepted (25%), at least 30% needed")
    assert not any(d.outcome is Outcome.PROMOTE for d in [*found.entities, found.pooled])
    assert found.entities[0].sentence.endswith("promoted, but withdrawn: the run is refused")


def test_unchanged_counts_as_accepted(case: SimpleNamespace) -> None:
    same = {"unchanged": True, "diff_champion_mean": 0.0, "diff_champion_se": 0.0}
    rows = case.table(case.evaluated("new"), *(case.evaluated(f"same{i}", **same) for i in range(3)))
    found = decide(rows, policy(smallest_accepted_share=1.0), intent="change")
    assert found.accepted == {"new"} and not found.refused
    assert found.entities[1].sentence == "same0: the candidate equals the champion: kept"
    assert found.entities[0].q_value == found.entities[0].p_value  # an unchanged candidate is no test


def test_nothing_accepted_refuses_the_run(case: SimpleNamespace) -> None:
    found = decide(case.table(case.evaluated(diff_champion_mean=0.02)), policy(), intent="change")
    assert found.refused and found.reason.startswith("nothing to promote among 1 candidates (1 keep); for example")


def test_everything_unchanged_is_no_change_and_no_refusal(case: SimpleNamespace) -> None:
    rows = case.table(
        case.evaluated(unchanged=True), case.evaluated("small", has_candidate=False), case.shared(unchanged=True)
    )
    found = decide(rows, policy(), intent="refresh")
    assert not found.refused and not found.changes
    assert found.reason == "no change: every candidate equals its champion"


def test_who_failed_to_get_a_first_model_does_not_make_a_rerun_a_refusal(case: SimpleNamespace) -> None:
    again = case.evaluated(unchanged=True)
    unlucky = case.first("unlucky", diff_baseline_mean=0.02)
    found = decide(case.table(again, unlucky), policy(), intent="refresh")
    assert not found.refused and not found.changes
    assert found.reason.startswith("no change: every candidate equals its champion (1 without a champion")
    worse = case.evaluated("worse", diff_champion_mean=0.02)
    assert decide(case.table(again, unlucky, worse), policy(), intent="refresh").refused


def test_no_candidate_at_all_refuses_the_run(case: SimpleNamespace) -> None:
    found = decide(case.table(), policy(), intent="change", quarantined={"a": "bad"})
    assert found.refused and found.reason == "no candidate was trained"


def test_a_new_pooled_model_alone_is_a_change(case: SimpleNamespace) -> None:
    found = decide(case.table(case.evaluated(has_candidate=False), case.shared()), policy(), intent="change")
    assert found.changes and not found.refused


# the table


def test_what_is_not_an_evaluation_is_refused(case: SimpleNamespace) -> None:
    with pytest.raises(StepError, match="lacks diff_champion_n"):
        decide(case.table(case.evaluated()).drop_columns("diff_champion_n"), policy(), intent="change")
    with pytest.raises(StepError, match="two rows for entity 'Masters'"):
        decide(case.table(case.evaluated(), case.evaluated()), policy(), intent="change")


def test_decisions_survive_their_table(case: SimpleNamespace) -> None:
    rows = case.table(case.evaluated(), case.first("new", diff_pooled_mean=0.1), case.shared())
    for smallest in (0.0, 1.0):
        found = decide(rows, policy(smallest_accepted_share=smallest), intent="change", champion={"gone"})
        assert Decisions.from_table(found.to_table()) == found
    with pytest.raises(StepError, match="not a table of gate decisions: it lacks"):
        Decisions.from_table(rows)
