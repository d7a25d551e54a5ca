# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fields of nested objects, as the JSON of an API has them; no I/O.

A field that is absent, null, or below something that is not a mapping is missing. C(at) gives None for it; the others
give an empty value, and they give the same for a field of another type.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping


def at(item: Any, *path: str) -> Any:
    """The value of the field under a path, None when it is missing. A list ends the path: nobody knows which member."""
    for key in path:
        if not isinstance(item, Mapping):
            return None
        item = item.get(key)
    return item


def mapping(item: Any, *path: str) -> dict[str, Any]:
    """A copy of the mapping under a path, empty for anything else."""
    value = at(item, *path)
    return dict(value) if isinstance(value, Mapping) else {}


def sequence(item: Any, *path: str) -> list[Any]:
    """A copy of the list under a path, empty for anything else, text included."""
    value = at(item, *path)
    return list(value) if isinstance(value, (list, tuple)) else []


def mappings(item: Any, *path: str) -> list[Mapping[str, Any]]:
    """The mappings in the list under a path; its other members are left out."""
    return [each for each in sequence(item, *path) if isinstance(each, Mapping)]


def text(item: Any, *path: str) -> str:
    """The text under a path, empty for anything else: a number is not a text."""
    value = at(item, *path)
    return value if isinstance(value, str) else ""


def number(item: Any, *path: str) -> int:
    """The whole number under a path, 0 for anything else: neither a boolean nor digits in a text are numbers."""
    value = at(item, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
