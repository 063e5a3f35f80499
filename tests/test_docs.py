"""What is written about edgebrain is so: commands, options, links, names and hints. `make docs` builds the site."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import edgebrain
from edgebrain.cli import COMMANDS, GROUPS, application

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(
    page
    for folder in (ROOT, DOCS, ROOT / "train", ROOT / "quantize", ROOT / "deploy")
    for page in (folder.rglob("*.md") if folder == DOCS else folder.glob("*.md"))
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|<img[^>]* src=\"([^\"]+)\"")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
# Texts with options of other programs; the second is CSS.
FOREIGN_PROGRAM = re.compile(
    r"\b(pip|podman|docker|apt|ssh|userns|python benchmarks|sudo|tar|install\.sh)\b|[{}]|--hash"
)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_the_command_line_reference_is_what_help_prints() -> None:
    reference = command_reference()
    assert (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8") == reference.as_markdown(), (
        "run python docs/tools/command_reference.py"
    )


def test_every_command_has_a_section_in_the_reference() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert {words.split()[0] for words in command_reference().command_words()} == set(COMMANDS)
    for words in command_reference().command_words():
        assert f"## `edgebrain {words}`" in text


def test_every_public_name_is_in_the_api_reference() -> None:
    text = (DOCS / "reference" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^::: edgebrain\.(\w+)$", text, re.MULTILINE))
    assert documented >= set(edgebrain.__all__) - {"__version__"}
    assert "`edgebrain.__version__`" in text


@pages
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in filter(None, (found for match in LINK.findall(text) for found in match)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(linked), f"{page}: {target}"


@pages
def test_every_command_that_is_shown_can_be_typed(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        parse(line)


@pages
def test_every_option_in_a_sentence_exists(page: Path) -> None:
    for code in INLINE_CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        assert not unknown_options(f"`{code}`"), f"{page}: {code}"


def test_hints_name_only_commands_and_options_that_exist() -> None:
    """Every `edgebrain COMMAND --option` in a string of the package; other strings may only name known options."""
    wrong = [
        f"{path.relative_to(ROOT)}: {text!r}: {unknown}"
        for path in sorted((ROOT / "edgebrain").rglob("*.py"))
        for text in strings(path)
        if (unknown := unknown_options(text))
    ]
    assert not wrong, "\n".join(wrong)


def test_pages_that_the_code_names_exist() -> None:
    for path in (*(ROOT / "edgebrain").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), ROOT / "deploy" / "README.md"):
        for name in re.findall(r"(?<![\w./])docs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path}: {name}"


def test_the_readme_says_what_it_is_not() -> None:
    assert "not a medical device" in (ROOT / "README.md").read_text(encoding="utf-8")


@cache
def command_reference() -> ModuleType:
    """The script that writes the reference of the command line."""
    spec = util.spec_from_file_location("command_reference", DOCS / "tools" / "command_reference.py")
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def command(name: str) -> Any:
    """A command as Typer parses it."""
    group: Any = typer.main.get_command(application([name]))
    return group.commands[name]


@cache
def options(name: str) -> frozenset[str]:
    """Options of a command; of all its sub-commands where it has some."""
    found = command(name)
    leaves = found.commands.values() if name in GROUPS else [found]
    return frozenset({"--help", "--debug"}.union(*(each.opts for leaf in leaves for each in leaf.params)))


@cache
def all_options() -> frozenset[str]:
    """Options of every command, and of a device's `python -m edgebrain.runtime` and kit."""
    device = OPTION.findall((DOCS / "reference" / "command-line.md").read_text(encoding="utf-8"))
    return frozenset(
        {"--version", "--service", "--to", "--uninstall", *device}.union(*(options(name) for name in COMMANDS))
    )


def unknown_options(text: str) -> list[str]:
    """Commands and options in a text that do not exist; options of other programs in a text are not looked at."""
    wrong = [f"edgebrain {name}" for name in re.findall(r"`edgebrain ([a-z]+)", text) if name not in COMMANDS]
    parts = re.split(r"(?<![\w./-])edgebrain (?=[a-z])", text)
    for name, rest in (re.split(r"(?![\w-])", part, maxsplit=1) for part in parts[1:]):
        if name in COMMANDS:
            typed = re.split(r"[`\n;]| && ", rest)[0]
            wrong += [option for option in OPTION.findall(typed) if option not in options(name)]
    prose = re.search(r"[a-z] [a-z]", text) and not FOREIGN_PROGRAM.search(text)
    return wrong + [option for option in OPTION.findall(text) if prose and option not in all_options()]


def command_lines(text: str) -> Iterator[str]:
    """The `edgebrain ...` lines of a page's code blocks, with continued lines joined, without prompt and comment."""
    for language, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            typed = line.removeprefix("$ ")
            if language in ("sh", "text") and (language == "sh" or typed != line):
                yield from (part for part in re.split(r" && | \|\| ", typed) if part.startswith("edgebrain "))


def parse(line: str) -> None:
    """Parse a command line as Typer would, without running it."""
    words = shlex.split(line, comments=True)[1:]
    while words and words[0] in ("--debug",):
        words = words[1:]
    if words == ["--version"]:
        return
    assert words and words[0] in COMMANDS, line
    found, rest = command(words[0]), words[1:]
    if words[0] in GROUPS:
        found, rest = found.commands[rest[0]], rest[1:]
    try:
        found.make_context(line, rest)
    except Exception as problem:
        raise AssertionError(f"{line}: {problem}") from problem


def strings(path: Path) -> Iterator[str]:
    """The strings of a module, docstrings too; what an f-string fills in is `X`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield node.value


@cache
def anchors(page: Path) -> frozenset[str]:
    """Anchors of the headings of a page, as MkDocs and GitHub make them."""
    text = page.read_text(encoding="utf-8")
    # Included files, as pymdownx.snippets names them.
    text += "\n".join(
        (ROOT / name).read_text(encoding="utf-8") for name in re.findall(r'^--8<-- "([^":]+)', text, re.M)
    )
    text = FENCE.sub("", text)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    kept = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in headings)
    return frozenset(re.sub(r"\s", "-", heading) for heading in kept)
