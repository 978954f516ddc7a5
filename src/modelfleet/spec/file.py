"""Reading a fleet spec from YAML, with errors that name the file, the field, the value and the nearest valid one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from modelfleet.errors import SpecError, nearest
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.section import Section

Anything = TypeVar("Anything", bound=Section)


def load_spec(path: str | Path) -> FleetSpec:
    """Read a fleet spec; a relative ``data.source`` or serving folder is taken from the spec file's folder.

    Args:
        path: The YAML file.

    Raises:
        SpecError: The file is not there, is not YAML, or says something that is not valid.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file{_nearest_file(path)}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read as UTF-8 text: {error}") from error
    return parse_yaml(text, origin=str(path), folder=path.absolute().parent)


def parse_yaml(text: str, origin: str, folder: Path) -> FleetSpec:
    """Check a spec's text.

    Args:
        text: YAML.
        origin: What messages call it, such as the file's path.
        folder: Where relative paths start.

    Raises:
        SpecError: It is not YAML, or says something that is not valid.
    """
    try:
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: a date such as 2024-13-01
        raise SpecError(f"{origin}: not valid YAML: {error}") from error
    return _with_absolute_paths(parse_spec(document, origin=origin), folder)


def parse_spec(document: object, origin: str) -> FleetSpec:
    """Check a parsed document.

    Args:
        document: What the YAML or JSON parser returned.
        origin: What the message calls it, such as the file's path.

    Raises:
        SpecError: Every field that is wrong, one line each.
    """
    if not isinstance(document, Mapping):
        raise SpecError(f"{origin}: expected a mapping of fields such as 'fleet', 'entity', 'task' and 'data'")
    try:
        return FleetSpec.model_validate(dict(document))
    except ValidationError as error:
        raise SpecError(_explain(error, origin)) from None


def _explain(error: ValidationError, origin: str) -> str:
    lines = []
    for issue in error.errors(include_url=False):
        field, beside = _place(issue["loc"])
        message = issue["msg"].removeprefix("Value error, ")
        if issue["type"] == "extra_forbidden":
            message = f"no such key{nearest(str(issue['loc'][-1]), beside)}"
        elif issue["type"] == "union_tag_invalid":
            kinds = [kind.strip(" '") for kind in issue["ctx"]["expected_tags"].split(",")]
            message = f"kind is '{issue['ctx']['tag']}', which is not valid{nearest(issue['ctx']['tag'], kinds)}"
        elif issue["type"] == "union_tag_not_found":
            message = f"is {issue['input']!r}: expected a mapping with its kind, such as {{kind: folder}}"
        elif issue["type"] == "missing":
            message = "is required"
        elif issue["type"] in {"enum", "literal_error"}:
            expected = [name.strip(" '") for name in str(issue["ctx"]["expected"]).replace(" or ", ",").split(",")]
            message = f"is {issue['input']!r}, which is not valid{nearest(str(issue['input']), expected)}"
        elif not isinstance(issue["input"], Mapping):
            message = f"is {issue['input']!r}: {message}"
        lines.append(f"{origin}: {field}: {message}")
    return "\n".join(lines)


def _place(location: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """Return how the place of an error is called, and the keys that are valid there."""
    names: list[str] = []
    section: type[BaseModel] | None = FleetSpec
    beside = section
    kinds: dict[str, type[BaseModel]] = {}
    named_by_user = False  # the part is a key of a mapping such as data.columns, or a place in a list
    for part in location:
        if kinds:  # pydantic names the kind of a source or sink, as if it were a key
            section, kinds = kinds.get(str(part)), {}
            continue
        beside = section
        names.append(str(part))
        if named_by_user:
            named_by_user = False
            continue
        field = section.model_fields.get(str(part)) if section else None
        kinds = _kinds_in(field.annotation) if field else {}
        section, named_by_user = _section_in(field.annotation) if field else (None, False)
    return ".".join(names) or "the spec", list(beside.model_fields) if beside else []


def _kinds_in(annotation: Any) -> dict[str, type[BaseModel]]:
    """Return the sections of an annotation of which one is chosen by its kind."""
    return {
        note.tag: get_args(choice)[0]
        for choice in get_args(annotation)
        for note in getattr(choice, "__metadata__", ())
        if isinstance(note, Tag)
    }


def _section_in(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the section inside an annotation such as ``dict[str, Column] | None``, and whether it is one of many."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    for argument in get_args(annotation):
        section, one_of_many = _section_in(argument)
        if section is not None:
            return section, one_of_many or get_origin(annotation) in (dict, tuple)
    return None, False


def _nearest_file(path: Path) -> str:
    beside = [p.name for p in path.parent.glob("*.yaml")] if path.parent.is_dir() else []
    return nearest(path.name, beside) if beside else "; write one with `modelfleet init --data FILE`"


def _with_absolute_paths(spec: FleetSpec, folder: Path) -> FleetSpec:
    def absolute(value: str) -> str:
        return value if "://" in value else str((folder / Path(value).expanduser()).resolve())

    def moved(section: Anything, *names: str) -> Anything:
        """Return the section with absolute paths; what the file leaves out stays left out, and may be overridden."""
        given = {name: value for name in names if (value := getattr(section, name)) is not None}
        return section.model_copy(update={name: absolute(value) for name, value in given.items()})

    serving, schedule = spec.serving, spec.schedule
    sides = {"source": serving.source, "sink": serving.sink}
    update = {
        name: moved(section, *section.PATHS) for name, section in sides.items() if name in serving.model_fields_set
    }
    serving = moved(serving.model_copy(update=update), "cache")
    if schedule.score is not None:
        schedule = schedule.model_copy(update={"score": moved(schedule.score, *schedule.score.PATHS)})
    given = {"data": moved(spec.data, "source"), "serving": serving, "schedule": schedule}
    return spec.model_copy(update={name: section for name, section in given.items() if name in spec.model_fields_set})
