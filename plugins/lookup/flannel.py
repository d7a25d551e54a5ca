# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: flannel
short_description: Find flannel in any namespace of a cluster
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Finds flannel however it was installed. That is the manifest, the release asset, the Helm chart, Kubespray, RKE,
    RKE2, Talos, a renamed DaemonSet without labels, several at once, and flannel inside the processes of k3s and RKE2.
  - Follows the DaemonSet's own volume to its ConfigMap, instead of assuming a name.
  - An empty answer means that flannel is not there. Where that cannot be known, because not everything may be read or
    O(mode) or O(nodes) say not to look everywhere, the answer is one record whose RV(_raw[].plugin) is V(unknown).
  - Canal is a plugin of its own; P(podnet.cni.cni#lookup) finds it.
extends_documentation_fragment:
  - podnet.cni._discovery
seealso:
  - plugin: podnet.cni.cni
    plugin_type: lookup
    description: The same for every plugin; describes the whole record.
"""

EXAMPLES = r"""
- name: Where is flannel, and which range do its pods have?
  ansible.builtin.debug:
    msg: "{{ item.namespace }}: {{ item.networking.pod_cidrs | map(attribute='cidr') | join(', ') }}"
  loop: "{{ query('podnet.cni.flannel') }}"
  loop_control:
    label: "{{ item.cluster }}"

- name: Stop when flannel is installed twice
  ansible.builtin.assert:
    that: query('podnet.cni.flannel', mode='full') | selectattr('role', 'equalto', 'duplicate') | length == 0

- name: Ask two clusters, and continue when one of them does not answer
  ansible.builtin.debug:
    msg: "{{ query('podnet.cni.flannel', 'east', 'west', on_error='warn') }}"
"""

RETURN = r"""
_raw:
  description:
    - A record for each installation, in the shape that P(podnet.cni.cni#lookup) describes.
    - All keys are always there; what is unknown is null or empty.
  type: list
  elements: dict
  contains:
    kind:
      description: V(component), or V(summary) with O(summary=true).
      type: str
    plugin:
      description: V(flannel), or V(unknown) when not everything was read and none is in sight.
      type: str
    role:
      description: V(primary), V(secondary), V(duplicate) or V(leftover).
      type: str
    scope:
      description: V(cluster), V(partial) or V(namespace).
      type: str
  sample:
    - plugin: flannel
      role: primary
      namespace: kube-flannel
      version: v0.28.9
      networking:
        pod_cidrs:
          - cidr: 10.244.0.0/16
            family: 4
            source: ConfigMap kube-flannel/kube-flannel-cfg key net-conf.json
            confidence: high
        backend:
          type: vxlan
          vni: 1
"""

from ansible_collections.podnet.cni.plugins.plugin_utils._discovery_lookup import DiscoveryLookup


class LookupModule(DiscoveryLookup):
    """Flannel alone."""

    name = "podnet.cni.flannel"
    sought = "flannel"
