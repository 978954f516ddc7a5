from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from ruamel.yaml import YAML

from modelfleet.spec import parse_spec
from modelfleet.spec.gate import CLASSIFICATION_METRICS, REGRESSION_METRICS

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def writer() -> ModuleType:
    found = importlib.util.spec_from_file_location("write_spec", DOCS / "write_spec.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_classes(writer: ModuleType) -> None:
    page = (DOCS / "spec.md").read_text()
    assert writer.rewritten(page) == page, "run `python docs/write_spec.py`"


def test_every_section_has_its_table_and_every_field_a_meaning(writer: ModuleType) -> None:
    page = (DOCS / "spec.md").read_text()
    for name, section in writer.SECTIONS.items():
        assert f"<!-- fields of {name} -->" in page
        meanings = writer._meanings(section)
        for field, value in section.model_fields.items():
            assert f"| `{field}` |" in page
            nested = hasattr(value.annotation, "model_fields")
            assert meanings[field] or nested, f"{name}.{field} has no line under Attributes:"


def test_every_metric_is_named() -> None:
    page = (DOCS / "spec.md").read_text()
    for metric in (*CLASSIFICATION_METRICS, *REGRESSION_METRICS, "loss"):
        assert f"`{metric}`" in page


def test_the_smallest_spec_shown_is_one() -> None:
    text = (DOCS / "spec.md").read_text().split("```yaml")[1].split("```")[0]
    assert parse_spec(YAML(typ="safe", pure=True).load(text), origin="docs/spec.md").fleet == "sales"
