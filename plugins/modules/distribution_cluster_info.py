#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: distribution_cluster_info
short_description: Read the objects in which k3s, RKE2, Rancher and others keep the network's settings
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads Nodes with the arguments that k3s and RKE2 run with, HelmCharts and HelmChartConfigs with the Addons that own
    them, the cluster objects of a Rancher management cluster, and the ConfigMaps of flannel, Canal and kubeadm.
  - What they mean is told by the filters P(podnet.cni.distribution_settings#filter) and
    P(podnet.cni.distribution_findings#filter).
  - Changes nothing.
  - A right that is missing does not fail the task. The facts then lack an entry and RV(facts.reasons) says why, with
    the right that is missing. An API server that does not answer fails it.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options: {}
notes:
  - Needs list for Nodes, for C(helmcharts) and C(helmchartconfigs) of C(helm.cattle.io), for C(addons) of
    C(k3s.cattle.io), for C(clusters) of C(provisioning.cattle.io), for DaemonSets and Pods in C(kube-system), and get
    for the ConfigMaps C(kubeadm-config), C(kube-flannel-cfg), C(canal-config) and C(rke2-canal-config). All of it is
    in C(docs/manifests/distribution-rbac.yaml).
  - Values of keys that are called token, password, secret, PSK and the like are not returned.
seealso:
  - module: podnet.cni.distribution_node_info
  - plugin: podnet.cni.distribution_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read what the owner of the network keeps in the cluster
  podnet.cni.distribution_cluster_info:
    kubeconfig: /etc/rancher/rke2/rke2.yaml
  register: cluster

- name: Show who wrote values for the chart of Canal
  ansible.builtin.debug:
    msg: "{{ cluster.facts.helm_chart_configs | selectattr('name', '==', 'rke2-canal')
             | map(attribute='annotations') }}"
"""

RETURN = r"""
facts:
  description: What the cluster shows. An entry that could not be found out is left out, and named in RV(facts.reasons).
  returned: success
  type: dict
  contains:
    subject:
      description: What the facts are of.
      type: str
      sample: cluster
    nodes:
      description: What is looked at of each Node.
      type: list
      elements: dict
      sample:
        - name: server-1
          os: linux
          kubelet: v1.36.3+rke2r1
          distribution: rke2
          microk8s: false
          ready: 'True'
          node_args: '["server"]'
          flannel: {backend-type: vxlan}
    helm_charts:
      description: HelmCharts without the chart itself.
      type: list
      elements: dict
    helm_chart_configs:
      description: HelmChartConfigs with their values and the annotations that name their owner.
      type: list
      elements: dict
    addons:
      description: Addons with the file that each was applied from.
      type: list
      elements: dict
      sample: [{name: rke2-canal-config, namespace: kube-system, source: /var/lib/rancher/rke2/server/manifests/c.yaml}]
    rancher_clusters:
      description: Clusters that a management cluster of Rancher provisions.
      type: list
      elements: dict
    daemonsets:
      description: DaemonSets in C(kube-system).
      type: list
      elements: dict
    pods:
      description: Pods of flannel and Canal, and why their daemon does not run.
      type: list
      elements: dict
    config_maps:
      description: What flannel, Canal and kubeadm keep in ConfigMaps.
      type: dict
    reasons:
      description: Why an entry is left out.
      type: dict
      sample: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._distributions import cluster
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=dict(auth.ARGUMENT_SPEC), supports_check_mode=True, no_log=True)
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            facts = cluster.gather(client)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
