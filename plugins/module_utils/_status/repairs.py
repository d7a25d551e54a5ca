# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What repairs a finding, which depends on who programs the host: this collection, or a flanneld.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Collection

DATAPLANE, NODE, FLANNELD, POD = REPAIRS = ("dataplane", "node", "flanneld", "pod")
"""The data plane brought to what the leases say (module flannel_dataplane); kernel settings, and services that manage
links (role node); a restart of flanneld, which programs its links itself; a new pod in place of the one it runs in."""

DRIFT = "Run podnet.cni.doctor with doctor_repair=true, which changes only what differs."
"""What checks say of a difference from the leases."""
_RESTARTS = {
    FLANNELD: "Run podnet.cni.doctor with doctor_repair=true, which restarts flanneld there.",
    POD: "Run podnet.cni.doctor with doctor_repair=true, which has the network's pod there made anew.",
}
_STALE = (
    "flanneld removes it only when it sees the host leave: delete what is named (ip route, bridge fdb, ip neighbour)."
)


def settle(name: str, remedy: str, repair: str, runs: Collection[str]) -> tuple[str, str]:
    """Return remedy and repair of the check C(name) on hosts that run what C(runs) says.

    Links of a flanneld that runs are its own: there a restart comes in place of programming.
    """
    daemon = next((each for each in (FLANNELD, POD) if each in runs), "")
    if not daemon:
        return remedy, "" if repair in (FLANNELD, POD) else repair
    if name == "dataplane.stale":
        return _STALE, ""
    return remedy.replace(DRIFT, _RESTARTS[daemon]), daemon if repair in (DATAPLANE, FLANNELD, POD) else repair
