#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_cluster_info
short_description: Read what a cluster is like before its network is installed or upgraded
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Reads everything that the checks of the role podnet.cni.preflight need to know of a cluster, in one run with some
    twenty requests, whatever the number of nodes up to 500; each further 500 nodes take one more.
  - Changes nothing.
  - A right that is missing, or an API server that does not answer, does not fail the task. The facts then lack an entry
    and RV(facts.reasons) says why, with the right that is missing.
  - The filter P(podnet.cni.preflight_findings#filter) judges the facts.
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options:
  namespace:
    description:
      - Namespace that the network is to be in.
    type: str
    default: kube-flannel
  annotation_prefix:
    description:
      - Prefix of flannel's Node annotations, as flanneld's C(--kube-annotation-prefix) has it.
    type: str
    default: flannel.alpha.coreos.com
  network_pods:
    description:
      - Also look at the pods of the network, at what each wrote on its Node, at its log, and at the kinds of object
        that the network needs. Takes some more requests, and one for the log of each of up to 50 pods.
      - Needs, besides the rights below, list for Pods and get for C(pods/log) in the namespace of the network; where a
        policy sidecar runs, create for C(subjectaccessreviews) of C(authorization.k8s.io), too.
    type: bool
    default: false
notes:
  - Needs list for Nodes, get for the namespace, list for DaemonSets, list for the webhook configurations, admission
    policies and their bindings of C(admissionregistration.k8s.io), list for EndpointSlices in the namespaces of
    webhooks, list for Pods in C(kube-system) and for Events in C(default), get for the ConfigMap C(kube-proxy) in
    C(kube-system), and what the role podnet.cni.discovery_rbac grants. All of it is in
    C(docs/manifests/preflight-rbac.yaml). Whatever is missing makes findings unknown.
seealso:
  - module: podnet.cni.preflight_host_info
  - module: podnet.cni.kube_wait
  - plugin: podnet.cni.preflight_findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read what the cluster is like
  podnet.cni.preflight_cluster_info:
    kubeconfig: /etc/kubernetes/admin.conf
    namespace: kube-flannel
  register: cluster

- name: Show which nodes have no podCIDR
  ansible.builtin.debug:
    msg: "{{ cluster.facts.nodes | rejectattr('pod_cidrs') | map(attribute='name') }}"
"""

RETURN = r"""
facts:
  description:
    - What the cluster is like. An entry that could not be found out is left out, and named in RV(facts.reasons).
  returned: success
  type: dict
  contains:
    subject:
      description: What the facts are of.
      type: str
      sample: cluster
    api:
      description: Whether the API server answers and is ready, and what the problem is.
      type: dict
      sample: {answers: true, ready: true, problem: ''}
    version:
      description: Version of the API server.
      type: str
      sample: v1.36.2
    nodes:
      description: What is looked at of each Node.
      type: list
      elements: dict
      sample:
        - name: worker-1
          os: linux
          kubelet: v1.36.2
          pod_cidrs: [10.244.1.0/24]
          internal_ips: [198.18.0.11]
          external_ips: []
          ready: 'True'
          network_unavailable: 'False'
          network_reason: FlannelIsUp
          annotations: {backend-type: vxlan, public-ip: 198.18.0.11}
    namespace:
      description: The namespace, whether it is there, and its labels.
      type: dict
      sample: {name: kube-flannel, exists: false, labels: {}}
    components:
      description: The network components that discovery found, as the lookup P(podnet.cni.cni#lookup) returns them.
      type: list
      elements: dict
    webhooks:
      description: Every admission webhook, with the endpoints behind those that fail closed.
      type: list
      elements: dict
    policies:
      description: Every admission policy with its bindings.
      type: list
      elements: dict
    controller_manager:
      description: Whether the controller manager's pod can be seen, and those of its flags that concern podCIDRs.
      type: dict
      sample: {visible: true, flags: {allocate-node-cidrs: 'true', cluster-cidr: 10.244.0.0/16}}
    events:
      description: Events that say that no podCIDR was left. Read only where a node has none.
      type: list
      elements: dict
    kube_proxy:
      description: Whether kube-proxy's ConfigMap was found, and its mode.
      type: dict
      sample: {found: true, mode: iptables}
    host_ports:
      description: Ports that DaemonSets name on the network of their nodes.
      type: list
      elements: dict
      sample:
        - {daemonset: monitoring/node-exporter, container: node-exporter, port: 9100}
    network_pods:
      description:
        - The network's pod on each Linux node. C(state) is V(ok), V(wait) or V(broken), C(reason) says why, C(log) has
          the lines that tell most, C(log_problem) why the log is not given out.
      returned: O(network_pods)
      type: list
      elements: dict
      sample:
        - node: worker-1
          daemonset: kube-flannel/kube-flannel-ds
          namespace: kube-flannel
          pod: kube-flannel-ds-x2x7k
          state: ok
          cause: ''
          reason: ''
          log: []
          log_problem: ''
          log_refused: false
    sidecar:
      description: The account of the policy sidecar and those of its rights that are missing; empty without a sidecar.
      returned: O(network_pods)
      type: dict
      sample: {account: kube-flannel/flannel, missing: []}
    kinds:
      description: By API group the kinds that the network needs, and those of them that are not served.
      returned: O(network_pods)
      type: dict
      sample: {}
    reasons:
      description: Why an entry is left out.
      type: dict
      sample: {}
    requests:
      description: Number of requests that were sent.
      type: int
      sample: 21
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._preflight import cluster_facts


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "namespace": {"type": "str", "default": "kube-flannel"},
            "annotation_prefix": {"type": "str", "default": "flannel.alpha.coreos.com"},
            "network_pods": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        with KubeClient.from_options(module.params) as client:
            asked = (module.params[name] for name in ("namespace", "annotation_prefix", "network_pods"))
            facts = cluster_facts.gather(client, *asked)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
