# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read of an owner: settings, each with the place that decides it, and problems of a place.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """A line of a file, or an object of a cluster, whose line is 0."""

    path: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True)
class Problem:
    """Something that its owner reads otherwise than it looks, or not at all. C(kind) is for programs."""

    kind: str
    place: Place
    text: str
    remedy: str


@dataclass(frozen=True)
class Flag:
    """A value that an owner's process is started with. C(places) are all that gave a part of it, in their order."""

    values: tuple[str, ...]
    places: tuple[Place, ...]

    @property
    def text(self) -> str:
        """The value as one text; members of a list are separated by commas."""
        return ",".join(self.values)


@dataclass(frozen=True)
class Setting:
    """A setting of the network.

    C(subject) is the host or "cluster", C(place) what decides the value now, C(change) how the owner wants it changed,
    C(overwritten_by) who would undo a change anywhere else. C(running) is what the process runs with, where that is
    known.
    """

    owner: str
    subject: str
    name: str
    value: str
    place: str
    change: str
    overwritten_by: str
    running: str | None = None


@dataclass
class Reading:
    """Settings and problems of one subject."""

    settings: list[Setting] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
