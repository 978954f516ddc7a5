from __future__ import annotations

import gc

import pytest

from modelfleet.loop.no_collector import no_collector


def test_the_collector_comes_back_and_only_where_it_was() -> None:
    def fail() -> None:
        with no_collector():
            raise ValueError("wrong")

    with no_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="wrong"):
        fail()
    assert gc.isenabled()
    with no_collector():
        with no_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
