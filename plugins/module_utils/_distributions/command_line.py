# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit files, environment files and command lines of the owners' services, and the arguments that run; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Flag, Place, Problem

COMMANDS = ("server", "agent")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NOWHERE = Place("")


@dataclass
class Unit:
    """A unit of systemd with its drop-ins. C(line) is that of C(ExecStart) in the file C(path)."""

    words: list[str] = field(default_factory=list)
    place: Place = NOWHERE
    environment: dict[str, tuple[str, Place]] = field(default_factory=dict)
    environment_files: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def command(self) -> str:
        """server or agent; empty when the line names neither."""
        return next((word for word in self.words if word in COMMANDS), "")


def unit(files: Iterable[tuple[str, str]], name: str) -> Unit:
    """Read a unit called C(name) (without its suffix), its drop-ins after it, each a path and its text.

    Continued lines are joined, an empty C(ExecStart=) takes back what was before, and C(%N) is the name
    (systemd.service(5), systemd.unit(5)). A line whose quotes do not end gives a problem.
    """
    found = Unit()
    for path, text in files:
        for number, line in _lines(text):
            key, separator, value = line.partition("=")
            key, value = key.strip(), value.strip()
            if not separator:
                continue
            if key not in ("ExecStart", "Environment", "EnvironmentFile"):
                continue
            place = Place(path, number)
            if key == "EnvironmentFile":
                found.environment_files += [value.lstrip("-").replace("%N", name)] if value else []
                continue
            try:
                words = shlex.split(value)
            except ValueError as error:
                found.problems.append(
                    Problem("unreadable", place, f"{key} cannot be split into words: {error}", "Close the quotation.")
                )
                continue
            if key == "ExecStart":
                found.words, found.place = words, place
            else:
                for word in words:
                    variable, assigned, content = word.partition("=")
                    if assigned:
                        found.environment[variable] = (content, place)
    return found


def _lines(text: str) -> Iterable[tuple[int, str]]:
    """Lines with their numbers; one that ends in a backslash is one with the next."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not joined and (not stripped or stripped.startswith(("#", ";", "["))):
            continue
        first = first or number
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        yield first, joined + stripped
        joined, first = "", 0
    if joined:
        yield first, joined


def environment(text: str, path: str) -> tuple[dict[str, tuple[str, Place]], list[Problem]]:
    """Read an environment file as systemd does (systemd.exec(5), EnvironmentFile): variables and their places.

    Returns problems for Windows line ends, which become a part of every value, and for lines that assign nothing.
    """
    found: dict[str, tuple[str, Place]] = {}
    problems: list[Problem] = []
    if "\r\n" in text:
        place = Place(path, text[: text.index("\r\n")].count("\n") + 1)
        problems.append(Problem("line_ends", place, "lines end as on Windows", "Convert the file (sed -i 's/\\r$//')."))
    for number, line in _lines(text):
        name, separator, value = line.partition("=")
        if not separator or not _ASSIGNMENT.fullmatch(name.strip()):
            problems.append(
                Problem(
                    "assignment", Place(path, number), "this line assigns nothing", "Write NAME=VALUE, or remove it."
                )
            )
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name.strip()] = (value, Place(path, number))
    return found, problems


def flags(words: Sequence[str], place: Place) -> dict[str, Flag]:
    """The flags in a command line of k3s or RKE2, after C(server) or C(agent); a flag without a value is "true".

    A flag that comes several times has all its values; which of them counts is up to the owner.
    """
    start = next((number for number, word in enumerate(words) if word in COMMANDS), -1)
    found: dict[str, Flag] = {}
    rest = list(words[start + 1 :])
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            continue
        name, separator, value = word.lstrip("-").partition("=")
        if not separator:
            value = rest.pop(0) if rest and not rest[0].startswith("-") else "true"
        before = found[name].values if name in found else ()
        found[name] = Flag((*before, value), (place,))
    return found


def running(annotation: str, place: Place) -> tuple[str, dict[str, Flag]]:
    """What a node runs with, from the annotation node-args: command and flags. Empty for a text that is not a list.

    k3s pkg/nodeconfig/nodeconfig.go: a JSON list in which C(--key=value) are two members, secrets being masked.
    """
    try:
        words = json.loads(annotation)
    except ValueError:
        return "", {}
    if not isinstance(words, list) or not words:
        return "", {}
    texts = [str(word) for word in words]
    return (texts[0] if texts[0] in COMMANDS else ""), flags(texts, place)


def is_on(flag: Flag | None) -> bool:
    """Whether a flag of yes or no says yes; one that is not given says no."""
    return flag is not None and bool(flag.values) and flag.values[-1].lower() not in ("false", "0", "f", "")


def last(found: Mapping[str, Flag], name: str) -> str:
    """The last value of a flag, empty when it is not given."""
    flag = found.get(name)
    return flag.values[-1] if flag is not None and flag.values else ""
