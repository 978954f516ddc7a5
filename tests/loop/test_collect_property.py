"""Whatever was done to a fleet: what anything needs stays, and nothing else does."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.releases.ledger import Ledger
from modelfleet.spec.retention import RetentionSpec
from tests.loop.aged_fleet import AgedFleet

acts = st.lists(
    st.one_of(
        st.tuples(st.just("release"), st.sampled_from("abcdef")),
        st.tuples(st.just("delete"), st.integers(1, 8)),
        st.tuples(st.just("damage"), st.sampled_from("abcdef")),
        st.tuples(st.just("lease"), st.integers(1, 8), st.integers(-1, 120)),
        st.tuples(st.just("run"), st.sampled_from("abcdef"), st.booleans(), st.integers(0, 3)),
        st.tuples(st.just("alias"), st.sampled_from("abcdef")),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=40)
@given(acts, st.integers(1, 4), st.sampled_from([0, 2]))
def test_nothing_that_anything_needs_is_ever_removed(tmp_path_factory, acts, generations, days):
    """The needs are worked out here once more, from what was done; what none of them names must be gone."""
    fleet = AgedFleet(tmp_path_factory.mktemp("fleet"))
    for name in "abcdef":
        fleet.bundle(name)
    refs = {name: fleet.bundle(name) for name in "abcdef"}
    needed, damaged, everything = set(), set(), False
    for number, (act, *what) in enumerate(acts):
        if act == "release":
            fleet.ledger.publish(bundle=refs[what[0]], reason="promote")
        elif act == "delete":
            fleet.ledger.path(what[0]).unlink(missing_ok=True)
        elif act == "damage" and what[0] not in damaged:
            damaged.add(what[0])
            (fleet.folders.bundles / what[0] / "index.parquet").write_bytes(b"")
        elif act == "lease":
            fleet.lease(f"p{number}", what[0], ended=timedelta(minutes=what[1]))
        elif act == "run":
            ref = refs[what[0]]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Ledger, "latest", lambda _: None)
                results = {"register": {"bundle": ref.uri, "bundle_sha256": ref.sha256}}
                results |= {"promote": {"generation": 1, "outcome": "promoted"}} if what[1] else {}
                fleet.run(f"r{number}", days=what[2], **results)
            if not what[1] and what[2] < days:
                needed.add(what[0])
        elif act == "alias":
            fleet.registry.versions["sales"] = [refs[what[0]].sha256]
            fleet.registry.aliases["sales"] = "1"
    names = {release.generation: Path(release.bundle.uri).name for release in fleet.ledger.all()}
    if fleet.registry.aliases:
        needed |= {n for n, ref in refs.items() if ref.sha256 == fleet.registry.versions["sales"][0]}
    newest_first = [names[generation] for generation in sorted(names, reverse=True)]
    needed |= set(list(dict.fromkeys(newest_first))[:generations])
    if days:
        needed |= set(newest_first)
    needed |= set([name for name in newest_first if name not in damaged][:1])
    for act, *what in acts:
        if act == "lease" and what[1] < 60:
            everything = everything or what[0] not in names
            needed |= {names[what[0]]} if what[0] in names else set()
    fleet.collect(retention=RetentionSpec(generations=generations, days=days))
    assert fleet.left == (set(refs) if everything else needed)
    shutil.rmtree(fleet.home.root)
