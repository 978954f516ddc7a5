"""A side is a process of its own: what it says, what it took, and what happens where it cannot run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bench import Bench
from benchmarks.clock import timed, tree_cpu_seconds
from benchmarks.side import Side, run_side
from benchmarks.sizes import QUICK
from modelfleet.errors import MissingExtraError, ModelfleetError, SpecError

SPIN = "import time\nwhile time.process_time() < {seconds}: pass\n"


@pytest.fixture
def side_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a module that is a side, and return its name."""
    repository = Path(__file__).resolve().parents[2]
    path = f"{tmp_path}:{repository}:{repository / 'src'}"
    monkeypatch.setenv("PYTHONPATH", path)

    def write(body: str, name: str = "some_side") -> str:
        (tmp_path / f"{name}.py").write_text(f"from benchmarks.clock import main\n\n{body}\n\nmain(setup)\n")
        return name

    return write


def test_it_tells_what_its_work_returned(side_module) -> None:
    module = side_module("def setup(config):\n    return lambda: {'units': config['models']}")
    found = run_side(Side("some", module, {"models": 12}))
    assert found.extra == {"units": 12}
    assert found.peak_bytes > 1_000_000
    assert found.cpu_seconds >= 0


def test_setting_up_is_not_on_the_clock(side_module) -> None:
    module = side_module(f"def setup(config):\n    exec({SPIN.format(seconds=0.4)!r})\n    return lambda: None")
    assert run_side(Side("some", module)).cpu_seconds < 0.2


def test_a_library_that_is_not_installed_is_named(side_module) -> None:
    module = side_module("def setup(config):\n    import no_such_library.part")
    with pytest.raises(MissingExtraError, match="no_such_library"):
        run_side(Side("some", module))


def test_what_modelfleet_refuses_is_told(side_module) -> None:
    body = "def setup(config):\n    from modelfleet.errors import SpecError\n    raise SpecError('no family x')"
    with pytest.raises(SpecError, match="no family x"):
        run_side(Side("some", side_module(body)))


def test_a_side_that_fails_ends_the_benchmark_with_its_last_lines(side_module) -> None:
    module = side_module("def setup(config):\n    raise RuntimeError('the disk is on fire')")
    with pytest.raises(ModelfleetError, match=r"(?s)some \(python -m some_side\) ended with 1.*the disk is on fire"):
        run_side(Side("some", module))


def test_children_are_counted_waited_for_or_not() -> None:
    def waited() -> None:
        subprocess.run([sys.executable, "-c", SPIN.format(seconds=0.3)], check=True)

    assert timed(waited)["cpu_seconds"] >= 0.3
    before = tree_cpu_seconds()
    code = SPIN.format(seconds=0.3) + "print(flush=True)\nimport sys\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # it has done its work, and lives on
        assert tree_cpu_seconds() - before >= 0.25
        child.communicate()
    assert tree_cpu_seconds() - before >= 0.25  # and is not forgotten when it has ended


def test_rounds_go_in_turn_and_missing_sides_are_noted(side_module, tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = "def setup(config):\n    open(config['log'], 'a').write(config['name'])\n    return lambda: None"
    module = side_module(body)
    lacking = side_module("def setup(config):\n    import no_such_library", name="lacking")
    bench = Bench(QUICK, 3, frozenset(), None, tmp_path, tmp_path, lambda line: None)
    found = bench.rounds(
        [
            Side("a", module, {"log": str(log), "name": "a"}),
            Side("slow", module, {"log": str(log), "name": "s"}, most_rounds=1),
            Side("lacking", lacking),
            Side("b", module, {"log": str(log), "name": "b"}),
        ]
    )
    assert log.read_text() == "asbabab"
    assert {name: len(rounds) for name, rounds in found.items()} == {"a": 3, "slow": 1, "b": 3}
    assert bench.missing == {"lacking": "no_such_library is not installed"}
