# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are looked at after a wave, and how long that may take; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Collection, Mapping

MINUTE = 60


def looked_at(
    plan: Mapping[str, Any],
    wave: Mapping[str, Any],
    hosts: Collection[str],
    *,
    without: Collection[str] = (),
    ill: Collection[str] = (),
    sample: int = 3,
    forks: int = 5,
) -> dict[str, Any]:
    """The nodes of the C(wave) of this C(plan) that have to be well, and who else takes part.

    C(hosts) are nodes that are hosts of the play, C(without) those the rollout continues without, C(ill) those that
    were not well in an earlier wave, C(sample) how many others packets are sent to, C(forks) how many hosts Ansible
    works on at once.

    C(judged) are the nodes of the wave that have to be well, C(looked) those of them that are hosts and a few others
    that the plan found ready, C(seconds) how long looking at them takes at most, a minute for each turn of Ansible,
    C(unseen) the nodes of the wave that nobody can look at, C(total) the number of nodes of its DaemonSet.
    """
    judged = [name for name in wave["nodes"] if name not in without]
    planned = [name for each in plan["waves"] for name in each["nodes"]]
    others = [name for name in planned if name in hosts and name not in {*wave["nodes"], *without, *ill}]
    looked = [name for name in judged if name in hosts] + others[:sample]
    same = [each["nodes"] for each in plan["waves"] if each["daemonset"] == wave["daemonset"]]
    return {
        "judged": judged,
        "looked": looked,
        "seconds": MINUTE * (1 + len(looked) // forks),
        "unseen": [name for name in judged if name not in hosts],
        "total": sum(map(len, same)),
    }
