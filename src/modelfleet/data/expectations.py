"""Building Great Expectations' expectations, ours and the spec's."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError, SpecError, nearest

if TYPE_CHECKING:
    from modelfleet.spec.expectations import RowExpectation

COLUMN_ARGUMENTS = ("column", "column_A", "column_B")
COLUMNS_ARGUMENTS = ("column_list", "column_set")


def import_gx() -> Any:
    """Return the Great Expectations library, its usage statistics off and its chatter at warning level.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for chatty in ("great_expectations", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # It imports `sre_constants` and `sre_parse`, which Python 3.11 deprecates
            warnings.filterwarnings("ignore", r"module 'sre_\w+' is deprecated", DeprecationWarning)
            import great_expectations
    except ModuleNotFoundError as error:
        raise MissingExtraError("great_expectations", "validation") from error
    return great_expectations


def expectation(kind: str, severity: str = "critical", **arguments: Any) -> Any:
    """Return one of ours.

    Args:
        kind: Its name, such as ``expect_column_to_exist``.
        severity: ``critical`` or ``warning``.
        arguments: Its own.
    """
    import_gx()
    from great_expectations.expectations.registry import get_expectation_impl

    return get_expectation_impl(kind)(severity=severity, **arguments)


def spec_expectation(asked: RowExpectation, position: int, columns: Sequence[str]) -> Any:
    """Return an expectation as the spec writes it.

    Args:
        asked: What the spec says.
        position: Its place in ``expectations.rows``, for messages.
        columns: The columns it may look at.

    Raises:
        SpecError: There is no such expectation or column, or it does not take these arguments.
    """
    import_gx()
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    field = f"expectations.rows.{position}"
    names = list_registered_expectation_implementations()
    if asked.type not in names:
        raise SpecError(f"{field}.type: there is no expectation '{asked.type}'{nearest(asked.type, names)}")
    implementation = get_expectation_impl(asked.type)
    for argument, value in asked.arguments.items():
        several = value if argument in COLUMNS_ARGUMENTS and isinstance(value, list) else []
        wanted = [value] if argument in COLUMN_ARGUMENTS else several
        for column in wanted:
            if column not in columns and asked.type != "expect_column_to_exist":
                hint = nearest(str(column), columns)
                raise SpecError(f"{field}.arguments.{argument}: the prepared rows have no column '{column}'{hint}")
    try:
        return implementation(severity=asked.severity, **asked.arguments)
    except (ValueError, TypeError) as error:  # Great Expectations' own pydantic raises a ValueError
        raise SpecError(f"{field}.arguments: {_explain(error, implementation)}") from None


def _explain(error: Exception, implementation: Any) -> str:
    details = error.errors() if hasattr(error, "errors") else []
    known = [name for name in getattr(implementation, "__fields__", {}) if not name.startswith("_")]
    lines = []
    for detail in details:
        name = str(detail["loc"][-1])
        if detail["type"] == "value_error.extra":
            lines.append(f"'{name}' is not an argument of {_snake(implementation)}{nearest(name, known)}")
        elif detail["type"] == "value_error.missing":
            lines.append(f"{_snake(implementation)} needs '{name}'")
        else:
            lines.append(detail["msg"] if name == "__root__" else f"'{name}': {detail['msg']}")
    return "; ".join(lines) or str(error)


def _snake(implementation: Any) -> str:
    return str(getattr(implementation, "expectation_type", implementation.__name__))
