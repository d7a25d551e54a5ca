# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The configuration file of k3s and RKE2 and its drop-ins, merged as these do it; no I/O.

The rules are those of k3s pkg/configfilearg/parser.go, which RKE2 uses, too:

* The main file comes first, then the drop-ins by name. Files that end in .yaml or .yml count, whatever the case.
* A key replaces what earlier files gave, as a whole. C(key+) appends to it, scalars becoming lists.
* Every value becomes C(--key=value), before the arguments of the command line.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import yaml_text
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Flag, Place, Problem


@dataclass(frozen=True)
class Config:
    """What files say together. C(texts) are the paths of the files that were read, in their order."""

    flags: Mapping[str, Flag]
    problems: tuple[Problem, ...]
    appended: Mapping[str, Place]


def is_dropin(name: str, directory: bool) -> bool:
    """Whether an entry of the directory of drop-ins is read (dotDFiles of the parser)."""
    return not directory and name.lower().endswith((".yaml", ".yml"))


def merge(files: Iterable[tuple[str, str]]) -> Config:
    """Merge files, each a path and its text, the main file first and drop-ins in the order of their names.

    A file that cannot be read gives a problem and no flags: the owner itself would not start with it.
    """
    flags: dict[str, Flag] = {}
    problems: list[Problem] = []
    appended: dict[str, Place] = {}
    for path, text in files:
        document = yaml_text.load(text, path)
        problems += document.problems
        for entry in document.entries:
            place = Place(path, entry.line)
            key = entry.key[:-1] if entry.key.endswith("+") else entry.key
            before = flags.get(key)
            values = _values(entry.value, place, key, problems)
            if before is not None and key != entry.key:
                added = tuple(value for value in values if value.strip())
                flags[key] = Flag((*before.values, *added), (*before.places, place))
                appended[key] = place
            else:
                flags[key] = Flag(values, (place,))
                appended.pop(key, None)
    return Config(flags, tuple(problems), appended)


def _values(value: Any, place: Place, key: str, problems: list[Problem]) -> tuple[str, ...]:
    members = value if isinstance(value, list) else [value]
    if any(isinstance(member, (dict, list)) for member in members):
        problems.append(
            Problem(
                "nested",
                place,
                f"the value of {key} is nested, and it has to be a text, a number or a list of them",
                "Write it flat.",
            )
        )
        return ()
    return tuple(yaml_text.as_text(member) for member in members)
