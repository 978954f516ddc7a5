"""What the Markdown files promise: links, commands, options, specs and the tree are those of the repository."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from modelfleet.cli.main import app
from modelfleet.data.schema import Schema
from modelfleet.families.catalog import make_family
from modelfleet.spec import load_spec, override, parse_spec

REPOSITORY = Path(__file__).resolve().parents[2]
README = REPOSITORY / "README.md"
SMALLEST = {"fleet": "f", "entity": "e", "task": "binary", "data": {"source": "f.csv", "target": "t"}}
FOLDERS = ("src", "beam_jobs", "dags", "plugins", "docs", "infra", "examples", "benchmarks", "tests", "mlflow")
"""Where a path in backticks must exist; those of other folders are often examples."""


def listed(pattern: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for name in sorted(set(done.stdout.splitlines())) if (path := REPOSITORY / name).exists()]


PAGES = listed("*.md")


def fenced(text: str, language: str = "") -> list[str]:
    """Return the code blocks of one language, or of all."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for found, block in blocks if language in ("", found)]


def inline(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def shell_lines(text: str) -> list[str]:
    """Return what a reader would type: lines of code blocks and code within sentences, continued lines joined."""
    lines = [line for block in fenced(text) for line in block.replace("\\\n", " ").splitlines()]
    return [line.removeprefix("$ ").strip() for line in [*lines, *inline(text)]]


def broken_links(page: Path, text: str) -> list[str]:
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", prose)
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:", target)]
    return [target for target in local if target and not (page.parent / target).exists()]


def missing_paths(text: str) -> list[str]:
    paths = [code for code in inline(text) if re.fullmatch(r"[\w./-]+", code) and code.split("/")[0] in FOLDERS]
    return [path for path in paths if "/" in path and not (REPOSITORY / path).exists()]


def unknown_targets(text: str) -> list[str]:
    makefile = (REPOSITORY / "Makefile").read_text()
    known = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = [match[1] for line in shell_lines(text) if (match := re.match(r"make ([a-z-]+)", line))]
    return [target for target in named if target not in known]


def wrong_commands(text: str) -> list[str]:
    """Return the lines with a command or an option that `modelfleet` does not have."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    wrong = []
    for line in shell_lines(text):
        match = re.match(r"modelfleet ([a-z][\w-]*)( [a-z]+)?(.*)", line)
        if match is None:
            continue
        command, rest = commands.get(match[1]), (match[2] or "") + match[3]
        if match[2] and hasattr(command, "commands"):  # a group, such as `keys`
            command, rest = command.commands.get(match[2].strip()), match[3]
        options = re.findall(r"(?<!\S)--[a-z-]+", re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", rest))
        params = [] if command is None else command.params
        known = {"--help", *(name for p in params for name in (*p.opts, *p.secondary_opts))}
        if command is None or not set(options) <= known:
            wrong.append(line)
    return wrong


def check_yaml(block: str) -> None:
    """Parse a spec; one that is only a part of a spec is put into the smallest spec there is."""
    document = YAML(typ="safe").load(block)
    parse_spec(document if "fleet" in document else SMALLEST | document, origin="docs")


def check_overrides(line: str) -> None:
    """Apply a merge patch to the shipped fleet, as far as its family's parameters."""
    arguments = shlex.split(line)
    patch = arguments[arguments.index("--overrides") + 1]
    text = (REPOSITORY / patch[1:]).read_text() if patch.startswith("@") else patch
    spec = override(load_spec(REPOSITORY / "fleets/income.yaml"), json.loads(text))
    schema = Schema(entity=("e",), target="t", task=spec.task, classes=("no", "yes"), features=())
    make_family(spec.model.family, schema, spec.model.parameters)


def tree(text: str) -> list[Path]:
    """Return the folders of the README's tree; two spaces more are one folder deeper."""
    block = next(block for block in fenced(text) if re.search(r"^src/modelfleet/ ", block, flags=re.MULTILINE))
    folders: list[Path] = []
    for line in block.splitlines():
        match = re.match(r"( *)([\w/]+)/ ", line)
        assert match, f"not a line of the tree: {line}"
        above = folders[-1] if match[1] else Path()
        while match[1] and above.parts[:1] != () and not (REPOSITORY / above / match[2]).exists():
            above = above.parent
        folders.append(above / match[2])
    return folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
class TestPage:
    def test_links_and_images_exist(self, page: Path) -> None:
        assert broken_links(page, page.read_text()) == []

    def test_paths_in_backticks_exist(self, page: Path) -> None:
        assert missing_paths(page.read_text()) == []

    def test_make_targets_exist(self, page: Path) -> None:
        assert unknown_targets(page.read_text()) == []

    def test_commands_and_their_options_exist(self, page: Path) -> None:
        assert wrong_commands(page.read_text()) == []

    def test_specs_parse(self, page: Path) -> None:
        for block in fenced(page.read_text(), "yaml"):
            check_yaml(block)

    def test_overrides_apply(self, page: Path) -> None:
        for line in shell_lines(page.read_text()):
            if "--overrides " in line:
                check_overrides(line)


def test_the_tree_of_the_readme_names_every_folder_once() -> None:
    named = tree(README.read_text())
    assert len(named) == len(set(named))
    assert [str(path) for path in named if not (REPOSITORY / path).is_dir()] == []
    tracked = [path.relative_to(REPOSITORY).parts for path in listed("*")]
    top = {Path(parts[0]) for parts in tracked if len(parts) > 1 and not parts[0].startswith(".")} - {Path("src")}
    packages = {Path("src/modelfleet", parts[2]) for parts in tracked if parts[0] == "src" and len(parts) > 3}
    jobs = {Path(*parts[:2]) for parts in tracked if parts[0] == "beam_jobs" and len(parts) > 2}
    assert sorted(map(str, (top | packages | jobs) - set(named))) == []


def test_no_page_names_this_machine() -> None:
    private = re.compile(r"/(?:work|root|home|tmp)/\w+")
    assert {page.name: found for page in PAGES if (found := private.findall(page.read_text()))} == {}


def test_what_is_wrong_is_found() -> None:
    commands = "$ modelfleet serf x.yaml\nmodelfleet run x.yaml --fast\nmodelfleet keys old\n"
    text = f"[a](no/such.md) `docs/no.md` `make nothing`\n```\n{commands}```\n"
    assert broken_links(README, text) == ["no/such.md"]
    assert missing_paths(text) == ["docs/no.md"]
    assert unknown_targets(text) == ["nothing"]
    assert wrong_commands(text) == ["modelfleet serf x.yaml", "modelfleet run x.yaml --fast", "modelfleet keys old"]
    with pytest.raises(Exception, match="marginn"):
        check_yaml("gate: { marginn: 0.1 }")
    with pytest.raises(Exception, match="max_depth"):
        check_overrides("""modelfleet run x.yaml --overrides '{"model": {"family": "logistic"}}'""")
