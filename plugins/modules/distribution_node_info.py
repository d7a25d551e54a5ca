#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_node_info
short_description: Read the files in which k3s, RKE2 and others keep the network's settings on a node
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads the configuration files of k3s and RKE2 with their drop-ins, the unit and its environment, the files that
    C(flannel-conf) and C(flannel-cni-conf) name, what k3s generated, and manifests with a HelmChartConfig, those of
    Rancher too. Of kubeadm, Kubespray and MicroK8s it reads what they keep on a node.
  - Texts are returned as they are, apart from secrets. What they mean is told by the filters
    P(podnet.cni.distribution_settings#filter) and P(podnet.cni.distribution_findings#filter), so the node needs
    nothing but Python.
  - Changes nothing.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.info_module
attributes:
  platform:
    platforms: linux
options: {}
notes:
  - Values of keys that are called token, password, secret, PSK and the like are replaced before they leave the node.
  - Needs root, since configuration files hold tokens and are often closed to others.
seealso:
  - module: podnet.cni.distribution_cluster_info
  - plugin: podnet.cni.distribution_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read what the owner of the network keeps on this node
  podnet.cni.distribution_node_info:
  register: node
  become: true

- name: Show which files decide
  ansible.builtin.debug:
    msg: "{{ node.facts.files | map(attribute='path') }}"
"""

RETURN = r"""
facts:
  description: What was read on the node.
  returned: success
  type: dict
  contains:
    hostname:
      description: The host's name, as the kernel has it.
      type: str
      sample: server-1
    root:
      description: Whether the module ran as root.
      type: bool
    products:
      description: For V(k3s) and V(rke2), where it is there, its unit, its configuration file, whether that was named
        by unit or environment, and the program ipset that it would use.
      type: dict
      sample: {k3s: {unit: k3s, config: /etc/rancher/k3s/config.yaml, explicit: false, ipset: /usr/sbin/ipset}}
    rancher_agent:
      description: Whether rancher-system-agent is installed.
      type: bool
    files:
      description: Path and text of each file, and the problem of one that could not be read.
      type: list
      elements: dict
      sample: [{path: /etc/rancher/k3s/config.yaml, text: "flannel-backend: vxlan\n", problem: ''}]
    directories:
      description: Entries of the folders of drop-ins.
      type: dict
      sample: {/etc/rancher/k3s/config.yaml.d: [{name: 60-network.yaml, directory: false}]}
    links:
      description: Names of the host's links.
      type: list
      elements: str
      sample: [eth0, flannel.1, lo]
    br_netfilter:
      description: State of the kernel module, its setting, and the files that load it at boot.
      type: dict
      sample: {module: loaded, setting: '1', at_boot: [/etc/modules-load.d/k8s.conf]}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import node


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, facts=node.gather(os.environ.get("PATH", "")))


if __name__ == "__main__":
    main()
