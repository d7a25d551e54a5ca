# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""MicroK8s without high availability, where a service of the snap runs flanneld on etcd; no I/O.

Files are those of https://github.com/canonical/microk8s, microk8s-resources/default-args.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Reading, Setting
from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host

ARGUMENTS = "/var/snap/microk8s/current/args/flanneld"
NETWORK_CONFIG = "/var/snap/microk8s/current/args/flannel-network-mgr-config"
_RESTART = "restart snap.microk8s.daemon-flanneld"
_LOSER = "nobody; each start of the service writes the file to etcd, over what etcd holds"

OWNER = Owner(
    title="MicroK8s",
    names={name: name for name in ("Network", "Backend.Type", "Backend.VNI", "Backend.Port", "Backend.DirectRouting")},
    change=f"Set {{name}} in {NETWORK_CONFIG} on every node, and {_RESTART}.",
    other=f"Set it in {NETWORK_CONFIG} on every node, and {_RESTART}.",
    overwritten_by=_LOSER,
)


def of_host(host: Host) -> Reading:
    """What flanneld of MicroK8s is started with: one flag a line, and the network config that goes to etcd."""
    found = Reading()
    text = host.text(NETWORK_CONFIG)
    if text:
        found = OWNER.settings(host.name, text, NETWORK_CONFIG)
    for number, line in enumerate((host.text(ARGUMENTS) or "").splitlines(), 1):
        name, separator, value = line.strip().lstrip("-").partition("=")
        if line.strip().startswith("-"):
            place = f"{ARGUMENTS}:{number}"
            change = f"Change the line in {ARGUMENTS}, and {_RESTART}."
            shown = value if separator else "true"
            found.settings.append(Setting(OWNER.title, host.name, name, shown, place, change, "nobody"))
    return found
