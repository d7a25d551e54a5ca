# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML of an owner's file, with lines, in the order in which it stands; no I/O.

C(load) sees what a YAML library that makes a dictionary hides: keys that come twice, and where each is.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Place, Problem
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

LIMIT = 20000
"""So many values a file may have when its aliases are followed."""

_BOOLEANS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


@dataclass(frozen=True)
class Entry:
    """A key at the top of a file."""

    key: str
    value: Any
    line: int


@dataclass(frozen=True)
class Document:
    """The first document of a file; entries with the same key are all there."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    @property
    def mapping(self) -> dict[str, Any]:
        """The keys with their values; of a key that comes twice the last."""
        return {entry.key: entry.value for entry in self.entries}


class _Bad(Exception):
    """A node that nobody can use."""

    def __init__(self, node: Any, text: str, remedy: str) -> None:
        super().__init__(text)
        self.line = node.start_mark.line + 1
        self.text = text
        self.remedy = remedy


def load(text: str, path: str) -> Document:
    """Read the first YAML document in C(text), which is that of the file or object C(path).

    An empty text has no entries. A text that is not YAML, or whose top is not a mapping, has none either, and a problem
    of the kind C(unreadable) that names the line. Raises InputError where PyYAML is missing.
    """
    try:
        yaml = import_module("yaml")
    except ImportError as error:
        raise InputError(f"Reading YAML needs the Python package PyYAML ({error}), where this is judged.") from error
    try:
        documents = yaml.compose_all(text, Loader=yaml.SafeLoader)
        top = next(documents, None)
        more = next(documents, None) if top is not None else None
    except yaml.YAMLError as error:
        return Document((), (_syntax(error, text, path),))
    except RecursionError:
        return Document((), (Problem("unreadable", Place(path), "it is nested too deeply", "Write it flatter."),))
    problems: list[Problem] = []
    if more is not None:
        place = Place(path, more.start_mark.line + 1)
        problems.append(
            Problem("documents", place, "a second document begins here, and only the first is read", "Join them.")
        )
    if top is None or _is_null(top):
        return Document((), tuple(problems))
    try:
        if not isinstance(top, yaml.MappingNode):
            raise _Bad(top, "there is no mapping of keys to values at the top", "Write one key and value a line.")
        reader = _Reader(yaml, path, problems)
        entries = tuple(reader.entries(top))
    except _Bad as bad:
        problems.append(Problem("unreadable", Place(path, bad.line), bad.text, bad.remedy))
        entries = ()
    except RecursionError:
        problems.append(Problem("unreadable", Place(path), "it is nested too deeply", "Write it flatter."))
        entries = ()
    return Document(entries, tuple(problems))


def as_text(value: Any) -> str:
    """A scalar as its owner's process gets it on the command line; null is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_null(node: Any) -> bool:
    return getattr(node, "tag", "") == "tag:yaml.org,2002:null"


def _syntax(error: Any, text: str, path: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else text.count("\n", 0, getattr(error, "position", 0)) + 1
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    lines = text.splitlines() or [""]
    # The end of the text is after its last line.
    line = min(line, len(lines))
    at_fault = lines[line - 1]
    if "\t" in at_fault[: len(at_fault) - len(at_fault.lstrip())]:
        return Problem("unreadable", Place(path, line), "a tab indents this line", "Indent with spaces.")
    return Problem("unreadable", Place(path, line), f"this is not valid YAML: {said}", "Correct the line.")


class _Reader:
    """Makes values of nodes."""

    def __init__(self, yaml: Any, path: str, problems: list[Problem]) -> None:
        self.yaml = yaml
        self.path = path
        self.problems = problems
        self.count = 0
        self.open: list[int] = []

    def entries(self, node: Any) -> list[Entry]:
        """The members of a mapping."""
        found: list[Entry] = []
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                self.problems.append(
                    Problem(
                        "merge_key", Place(self.path, line), "a merge key (<<) is not followed", "Write the keys out."
                    )
                )
                continue
            if not isinstance(key_node, self.yaml.ScalarNode):
                raise _Bad(key_node, "a key is a list or a mapping", "Write a name as the key.")
            key = str(key_node.value)
            if key in seen:
                self.problems.append(
                    Problem(
                        "duplicate",
                        Place(self.path, line),
                        f"{key} is there twice, first in line {seen[key]}",
                        f"Keep one {key}; the last one counts.",
                    )
                )
            seen[key] = line
            found.append(Entry(key, self.value(value_node), line))
        return found

    def value(self, node: Any) -> Any:
        """The value of a node. Raises _Bad for one that contains itself, and for one that grows without end."""
        self.count += 1
        if self.count > LIMIT:
            raise _Bad(
                node, f"it has more than {LIMIT} values once its anchors are followed", "Write it without anchors."
            )
        if isinstance(node, self.yaml.ScalarNode):
            return _scalar(node)
        if id(node) in self.open:
            raise _Bad(node, "an anchor contains itself", "Write the value out.")
        self.open.append(id(node))
        made: Any
        if isinstance(node, self.yaml.SequenceNode):
            made = [self.value(each) for each in node.value]
        else:
            made = {entry.key: entry.value for entry in self.entries(node)}
        self.open.pop()
        return made


def _scalar(node: Any) -> Any:
    """A scalar as the owners' library (gopkg.in/yaml.v2 resolve.go) takes it; what is in doubt stays text."""
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return _BOOLEANS.get(text.lower(), text)
    if kind == "int" and ":" not in text:
        try:
            return int(text.replace("_", ""), 8 if re.fullmatch(r"[-+]?0[0-7]+", text) else 0)
        except ValueError:
            return text
    return text
