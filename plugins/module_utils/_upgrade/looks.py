# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an upgrade can look at on hosts, from what the daemon is going to be; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Collection, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import loose_config
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent, network

NET_CONF = "net-conf.json"
COMPARED = ("vxlan", "host-gw", "ipip", "alloc")
"""Backends whose data plane the leases tell; flanneld keeps keys and processes of others to itself."""

DATAPLANE, PROBE, SERVICES = HOST_GATES = ("dataplane", "probe", "services")


def looks(product: str, wanted: Collection[str], rollout: Mapping[str, Any]) -> dict[str, Any]:
    """What is looked at, and what the looking needs to know.

    C(product) is flannel or canal, C(wanted) are the HOST_GATES that are asked for, C(rollout) is the first one, with
    C(template), C(container) and C(config_data). The result has a truth value for each of HOST_GATES, C(starts_pods),
    C(not_looked_at) (texts), C(writes_sysctls), C(health_port) (0 for none) and C(network_config) without the key of a
    backend. Raises InputError for a network config that is not a JSON object.
    """
    config = _config(str(fields.at(rollout, "config_data", NET_CONF) or "{}"))
    backend = str(fields.at(config, "Backend", "Type") or "udp").lower()
    daemon = _daemon(rollout.get("template") or {}, str(rollout.get("container") or ""))
    # calico's plugin takes no pod that the cluster does not know.
    own_pods = product != "canal"
    found: dict[str, Any] = {
        DATAPLANE: DATAPLANE in wanted and backend in COMPARED,
        PROBE: PROBE in wanted and own_pods,
        SERVICES: SERVICES in wanted and own_pods,
    }
    unseen = []
    if DATAPLANE in wanted and not found[DATAPLANE]:
        unseen.append(f"the data plane of backend {backend}")
    if not own_pods and set(wanted) & {PROBE, SERVICES}:
        unseen.append("the traffic of pods, because calico serves none that the cluster does not know")
    return {
        **found,
        "starts_pods": found[PROBE] or found[SERVICES],
        "not_looked_at": unseen,
        "writes_sysctls": agent.writes_sysctls(daemon),
        "health_port": health_port(daemon),
        "network_config": _without_keys(config),
    }


def health_port(container: Mapping[str, Any]) -> int:
    """The port of C(--healthz-port) in a container's command or arguments; 0 for none."""
    found = 0
    for word in [*(container.get("command") or []), *(container.get("args") or [])]:
        name, _equals, value = str(word).partition("=")
        if name == "--healthz-port" and value.isdigit():
            found = int(value)
    return found


def _daemon(template: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = fields.sequence(template, "spec", "containers")
    return next((each for each in containers if each.get("name") == name), {})


def _config(text: str) -> dict[str, Any]:
    try:
        return loose_config.members(text)
    except InputError as error:
        raise InputError(f"{NET_CONF} is not JSON that flanneld reads: {error}") from None


def _without_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    backend = config.get("Backend")
    if not isinstance(backend, Mapping):
        return dict(config)
    return {**config, "Backend": {key: value for key, value in backend.items() if key not in network.SECRET_KEYS}}
