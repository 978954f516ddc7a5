"""Rewrites the field tables of docs/spec.md from the spec's own classes: ``python docs/write_spec.py``."""

from __future__ import annotations

import inspect
import json
import re
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from modelfleet import spec
from modelfleet.families.linear import LinearParameters
from modelfleet.families.logistic import LogisticParameters
from modelfleet.families.onnx import OnnxParameters
from modelfleet.families.sklearn import SklearnParameters
from modelfleet.families.torch import TorchParameters
from modelfleet.families.tree import TreeParameters
from modelfleet.families.xgboost import XgboostParameters

PAGE = Path(__file__).with_name("spec.md")
PARAMETERS = (
    TreeParameters, LogisticParameters, LinearParameters, SklearnParameters, TorchParameters, XgboostParameters,
    OnnxParameters,
)  # fmt: skip
SECTIONS: dict[str, type[BaseModel]] = {
    **{name: value for name, value in vars(spec).items() if inspect.isclass(value) and issubclass(value, BaseModel)},
    **{section.__name__: section for section in PARAMETERS},
}


def rewritten(page: str) -> str:
    """Return the page with the table after each ``<!-- fields of X -->`` written anew."""

    def table(match: re.Match[str]) -> str:
        return f"<!-- fields of {match[1]} -->\n{fields_table(SECTIONS[match[1]])}\n<!-- end -->"

    return re.sub(r"<!-- fields of (\w+) -->\n.*?<!-- end -->", table, page, flags=re.DOTALL)


def fields_table(section: type[BaseModel]) -> str:
    """Return a Markdown table: field, type, default, meaning."""
    meanings = _meanings(section)
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, field in section.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True))
        one_or_many = any(isinstance(part, BeforeValidator) for part in field.metadata)
        kind = "name, or list of names" if one_or_many else _type(field.annotation)
        lines.append(f"| `{name}` | {kind} | {default} | {meanings[name] or 'see below'} |")
    return "\n".join(lines)


def _meanings(section: type[BaseModel]) -> dict[str, str]:
    """Return each field's lines of the docstring's ``Attributes:``."""
    attributes = inspect.getdoc(section).split("Attributes:")[1]  # type: ignore[union-attr]
    found = re.findall(r"^    (\w+): (.+?)(?=^    \w|\Z)", attributes + "\n", flags=re.DOTALL | re.MULTILINE)
    texts = {name: " ".join(text.split()).replace("``", "`").replace("|", r"\|") for name, text in found}
    return {name: texts.get(name, "") for name in section.model_fields}


def _default(value: object) -> str:
    if value is None:
        return "none"
    if value is PydanticUndefined or isinstance(value, BaseModel):
        return "its defaults"
    return f"`{json.dumps(value)}`" if not isinstance(value, StrEnum) else f"`{value}`"


def _type(annotation: Any) -> str:  # noqa: PLR0911 - one line per kind of type
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in (Any, NoneType) or type(annotation).__name__ in {"TypeAliasType", "ForwardRef"}:
        return "any"
    if inspect.isclass(annotation) and issubclass(annotation, StrEnum):
        return ", ".join(f"`{member}`" for member in annotation)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return "section"
    if origin is Annotated:  # inside "or none"; at the top pydantic has taken it apart
        named = any(isinstance(part, BeforeValidator) for part in arguments[1:])
        return "name, or list of names" if named else _type(arguments[0])
    if origin is dict:
        return f"name: {_type(arguments[1])}"
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if origin is None:
        return {"str": "text", "int": "whole number", "float": "number", "bool": "true, false"}[annotation.__name__]
    if all(isinstance(argument, str) for argument in arguments):
        return ", ".join(f"`{argument}`" for argument in arguments)
    return " or ".join(dict.fromkeys(_type(argument) for argument in arguments if argument is not NoneType))


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
