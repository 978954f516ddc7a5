"""Checking a family's parameters: unknown names, wrong values and the wrong task are errors of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from modelfleet.errors import SpecError, nearest
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.spec.fleet import Task

Parameters = TypeVar("Parameters", bound=Section)


def check_parameters(family: str, model: type[Parameters], parameters: Mapping[str, object]) -> Parameters:
    """Return the parameters as an instance of the family's own section.

    Args:
        family: The family's name, for the message.
        model: The family's section: one field per parameter.
        parameters: What the spec says under ``model.parameters``.

    Raises:
        SpecError: A parameter is unknown (with the nearest known one) or its value is not valid, one line each.
    """
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        lines = []
        for issue in error.errors(include_url=False):
            name = str(issue["loc"][0]) if issue["loc"] else "parameters"
            if issue["type"] == "extra_forbidden":
                lines.append(f"model.parameters: family '{family}' has no '{name}'{nearest(name, model.model_fields)}")
            elif issue["type"] == "missing":
                lines.append(f"model.parameters.{name}: family '{family}' needs it")
            else:
                message = issue["msg"].removeprefix("Value error, ")
                lines.append(f"model.parameters.{name}: is {issue['input']!r}: {message}")
        raise SpecError("\n".join(dict.fromkeys(lines))) from None


def check_task(family: str, able: frozenset[Task], task: Task) -> None:
    """Refuse a task the family cannot do.

    Raises:
        SpecError: It cannot.
    """
    if task not in able:
        raise SpecError(f"model.family: '{family}' does {', '.join(sorted(able))}, but the fleet's task is {task}")
