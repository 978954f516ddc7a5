"""The source inside a registered model: whole enough to predict, whichever way a model takes through it."""

from __future__ import annotations

import grimp
import pytest

from modelfleet.registry.own_code import PACKAGES, own_code


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("modelfleet")


def stays_behind(graph, packages):
    """Return which modules import one that does not come along."""
    alone = {name for name in graph.find_children("modelfleet") if not graph.find_children(name)} - {
        "modelfleet.__main__"
    }
    known = {"modelfleet"} | alone | {f"modelfleet.{package}" for package in packages}

    def comes(module):
        return ".".join(module.split(".")[:2]) in known

    return {
        (module, needed)
        for module in graph.modules
        if comes(module)
        for needed in graph.find_modules_directly_imported_by(module)
        if not comes(needed)
    }


def test_nothing_that_comes_along_imports_what_does_not(graph):
    assert stays_behind(graph, PACKAGES) == set()
    assert ("modelfleet.bundles.reader", "modelfleet.data.schema") in stays_behind(graph, set(PACKAGES) - {"data"})


def test_the_folder_holds_them_and_nothing_else():
    with own_code() as folder:
        assert folder.name == "modelfleet"
        assert {path.name for path in folder.iterdir() if path.resolve().is_dir()} == set(PACKAGES)
        assert (folder / "errors.py").is_file()
        assert not (folder / "__main__.py").exists()
        assert (folder / "families" / "tree.py").is_file()
    assert not folder.exists()
