#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: network_policy_impact_info
version_added: 1.0.0
short_description: Report which connections NetworkPolicies will deny once they are enforced
description:
  - Reads NetworkPolicies, Pods and Namespaces from a cluster or from files, and tells what happens when an agent like
    kube-network-policies begins to enforce the policies. Nothing is changed.
  - AdminNetworkPolicies, BaselineAdminNetworkPolicies and ClusterNetworkPolicies are judged with them, where
    O(sidecar_version) enforces their kind.
  - Reported are policies that were dormant, Pods that become isolated and what they lose, mistakes in policies, and
    what the agent's version cannot enforce.
  - For each of O(flows) it gives the verdict, and the policy and rule that decide.
  - A policy that cannot be read is named in RV(unreadable) and never stops the report. Policies in O(src) are held
    against the rules of the API server.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._attributes.info_module
  - podnet.cni._kubernetes
attributes:
  platform:
    platforms: posix
options:
  src:
    description:
      - Files with manifests in YAML or JSON, and directories that are searched for C(.yaml), C(.yml) and C(.json).
      - Then no cluster is asked, and only what the files hold exists. C(kubectl get -o yaml) writes such files.
      - YAML needs the Python package C(PyYAML) where this runs.
    type: list
    elements: path
    default: []
  namespaces:
    description:
      - Namespaces whose policies and Pods are listed. Everything is read all the same, because any Pod can be a peer,
        and RV(node_sources) and RV(callbacks) are about the whole cluster.
      - Without it all are listed.
    type: list
    elements: str
    default: []
  flows:
    description:
      - Connections to judge.
    type: list
    elements: dict
    default: []
    suboptions:
      from:
        description:
          - Who opens the connection. A Pod as V(namespace/name), or an IP address.
        type: str
        required: true
      to:
        description:
          - Who is asked. A Pod as V(namespace/name), or an IP address. For the cluster address of a Service its
            backends are judged, which RV(verdicts) names.
        type: str
        required: true
      port:
        description:
          - The destination's port. V(ICMP) has none, the other protocols need one.
        type: int
      protocol:
        description:
          - The protocol.
        type: str
        choices: [TCP, UDP, SCTP, ICMP]
        default: TCP
  sidecar_version:
    description:
      - Image tag of kube-network-policies that will enforce the policies. Releases differ, see RV(limits).
      - V(api) stands for what the Kubernetes API promises, whatever the agent.
    type: str
    default: v1.1.1
  api_servers:
    description:
      - Addresses of the API servers, with V(:port) when it is not 6443, IPv6 in brackets.
      - Without it they are read from the EndpointSlice of Service C(kubernetes).
    type: list
    elements: str
    default: []
  direct_routing:
    description:
      - Whether flannel's backend has the option C(DirectRouting), which nothing in a Node tells. Nodes may then be seen
        under their own address or under that of the overlay, and a verdict about one is certain where both agree.
    type: bool
    default: false
    version_added: 1.0.0
notes:
  - The user needs the verb list for pods, namespaces and networkpolicies in the whole cluster.
  - Everything else may be forbidden. Then RV(unknown) says what the report lacks. It is list for nodes and services;
    for endpointslices, at least in namespace C(default); for validatingwebhookconfigurations,
    mutatingwebhookconfigurations and
    apiservices; and for adminnetworkpolicies, baselineadminnetworkpolicies and clusternetworkpolicies.
  - Webhooks for the conversion of custom resources are not looked at.
  - The report says what policies do, not what traffic there is. Judge recorded connections with O(flows).
seealso:
  - name: Network policies
    description: What a NetworkPolicy means.
    link: https://kubernetes.io/docs/concepts/services-networking/network-policies/
"""

EXAMPLES = r"""
- name: What would enforcement change
  podnet.cni.network_policy_impact_info:
    context: production
  register: impact

- name: Stop when Pods would lose DNS or the API server
  ansible.builtin.assert:
    that: lost | length == 0
    fail_msg: "{{ lost | to_nice_yaml }}"
  vars:
    lost: >-
      {{ impact.isolated_pods | selectattr('flags', 'contains', 'no_dns')
      + impact.isolated_pods | selectattr('flags', 'contains', 'no_apiserver') }}

- name: Try the manifests of a repository before they are applied, and three connections
  podnet.cni.network_policy_impact_info:
    src:
      - policies/
      - pods-and-namespaces.json
    api_servers: [192.0.2.10, "192.0.2.11:8443"]
    flows:
      - {from: shop/web-0, to: shop/db-0, port: 5432}
      - {from: 192.0.2.99, to: shop/web-0, port: 8080}
      - {from: shop/web-0, to: 203.0.113.7, port: 53, protocol: UDP}

- name: What an older agent would not enforce
  podnet.cni.network_policy_impact_info:
    namespaces: [shop]
    sidecar_version: v1.0.0
"""

RETURN = r"""
summary:
  description: Counts for a first look.
  returned: success
  type: dict
  sample:
    pods: 412
    policies: 37
    admin_policies: 2
    dormant: 30
    select_nothing: 5
    isolated_ingress: 120
    isolated_egress: 48
    host_network_pods: 24
    unreadable: 0
    denied_flows: 1
    unknown_flows: 0
engines:
  description: What enforces policies already, recognised by the images of running Pods.
  returned: success
  type: list
  elements: dict
  sample:
    - {engine: calico, namespace: kube-system, version: v3.30.0, pods: 12}
policies:
  description: Every policy that can be read.
  returned: success
  type: list
  elements: dict
  contains:
    policy:
      description: Namespace and name.
      type: str
    effect:
      description: V(acts), V(selects_nothing) or V(selects_host_network_only).
      type: str
    dormant:
      description: Whether it begins to act with enforcement. False where an engine runs already.
      type: bool
    managed_by:
      description: Who ships it, after the label C(app.kubernetes.io/managed-by).
      type: str
    directions:
      description: Directions in which it isolates.
      type: list
      elements: str
    pods:
      description: How many Pods it selects, those on the host's network apart.
      type: int
    host_network_pods:
      description: How many Pods on the host's network it selects.
      type: int
    rules:
      description: What each rule allows, in words.
      type: list
      elements: dict
  sample:
    - policy: shop/db
      effect: acts
      dormant: true
      managed_by: Helm
      directions: [ingress]
      pods: 3
      host_network_pods: 0
      rules:
        - {direction: ingress, rule: 0, allows: "pods app=web of this namespace on TCP 5432"}
admin_policies:
  description:
    - Every AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy that can be read, in the order in
      which they are asked.
  returned: success
  type: list
  elements: dict
  contains:
    policy:
      description: Kind and name.
      type: str
    tier:
      description: V(Admin), asked before NetworkPolicies, or V(Baseline), asked where no NetworkPolicy selects the Pod.
      type: str
    priority:
      description: From 0 to 1000, the lowest is asked first.
      type: int
    enforced:
      description: Whether O(sidecar_version) enforces the kind.
      type: bool
    pods:
      description: How many Pods it selects.
      type: int
    rules:
      description: The rules with their direction, place, name, action, and whom they are about in words.
      type: list
      elements: dict
  sample:
    - policy: ClusterNetworkPolicy tenants
      tier: Admin
      priority: 20
      enforced: true
      pods: 388
      rules:
        - {direction: ingress, rule: 0, name: own, action: Pass, peers: "all pods of namespaces tenant=a on any port"}
isolated_pods:
  description:
    - Pods that become isolated, or that admin policies select. Those of one namespace with the same policies and flags
      share an entry.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Their namespace.
      type: str
    pods:
      description: Their names.
      type: list
      elements: str
    ingress:
      description: Whether only what policies allow reaches them.
      type: bool
    egress:
      description: Whether they reach only what policies allow.
      type: bool
    ingress_policies:
      description: The policies that isolate them for ingress.
      type: list
      elements: str
    egress_policies:
      description: The policies that isolate them for egress.
      type: list
      elements: str
    admin_policies:
      description: The admin policies that are enforced and select them, in their order.
      type: list
      elements: str
    flags:
      description:
        - V(deny_all_ingress) and V(deny_all_egress), no policy of the direction has a rule.
        - V(no_dns), UDP or TCP port 53 of the cluster's DNS is closed.
        - V(no_apiserver), the API servers' own addresses are closed.
        - V(some_apiservers_cut), some of them are closed, so connections to Service C(kubernetes) fail now and then.
        - V(nodes_cut), no rule lets in the address that any other node sends from, so that other nodes, Pods on the
          host's network and what comes in through them, like clients of a NodePort, are cut off.
        - V(some_nodes_cut), so it is for some of the other nodes, see RV(node_sources).
        - V(webhook_unreachable), the API server calls the Pod and is not let in, see RV(callbacks).
        - V(probe_risk), the agent's version judges kubelet's probes.
        - V(dns_unknown) and V(apiserver_unknown), admin policies leave it open, as with names of domains.
      type: list
      elements: str
  sample:
    - namespace: shop
      pods: [db-0, db-1, db-2]
      ingress: true
      egress: false
      ingress_policies: [shop/db]
      egress_policies: []
      admin_policies: []
      flags: [nodes_cut]
host_network_pods:
  description: Pods on the host's network that policies select. They are not isolated.
  returned: success
  type: list
  elements: dict
  sample:
    - {namespace: monitoring, pods: [exporter-x7k2p], policies: [monitoring/deny]}
findings:
  description: What is probably a mistake in a policy.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description:
        - V(selector_matches_nothing), V(peer_matches_nothing), V(named_port_unresolved), V(rules_ignored),
          V(ipblock_covers_pods), V(ipblock_covers_services), V(family_gap) or V(same_priority).
      type: str
    policy:
      description: Namespace and name.
      type: str
    direction:
      description: V(ingress) or V(egress), none when it is about the whole policy.
      type: str
    rule:
      description: Place of the rule in its direction, from 0.
      type: int
    message:
      description: What is wrong.
      type: str
  sample:
    - kind: peer_matches_nothing
      policy: shop/db
      direction: ingress
      rule: 1
      message: the peer pods app=wbe of this namespace matches no Pod
limits:
  description: What O(sidecar_version) does not enforce or enforces in a way that hurts, and the policies concerned.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description:
        - V(host_network_subject), V(node_address_enrolled), V(own_node_egress_unseen), V(probes_judged),
          V(established_kept), V(established_revived), V(ipvs_unseen), V(fails_closed), V(admin_policy_unsupported),
          V(named_port_matches_all) or V(node_peers_match_pods).
      type: str
    message:
      description: What happens.
      type: str
    remedy:
      description: What to do about it.
      type: str
    policies:
      description: The policies concerned.
      type: list
      elements: str
  sample:
    - kind: own_node_egress_unseen
      message: traffic of a Pod to its own node is not judged, the API server on that node included
      remedy: use v1.1.0 or newer
      policies: [shop/web]
node_sources:
  description:
    - The addresses that nodes' own traffic comes from, and how many isolated Pods let it in on no port.
    - That of V(overlay) is the address of flannel.1 and its like. What root sends to Pods on its own node passes with
      v0.5.1 and newer, whatever is counted here.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node.
      type: str
    device:
      description: V(overlay), V(bridge) or V(underlay).
      type: str
    address:
      description: The address.
      type: str
    seen_by:
      description: V(own_node), Pods on the node see this address, or V(other_nodes), Pods on all others do.
      type: str
    cut_pods:
      description: How many of those Pods do not let it in.
      type: int
  sample:
    - {node: node-1, device: bridge, address: 10.244.1.1, seen_by: own_node, cut_pods: 4}
    - {node: node-1, device: overlay, address: 10.244.1.0, seen_by: other_nodes, cut_pods: 116}
api_servers:
  description: The API servers' own addresses, which Pods' traffic to Service C(kubernetes) ends at.
  returned: success
  type: list
  elements: dict
  sample:
    - {address: 192.0.2.10, port: 6443}
callbacks:
  description: Webhooks and aggregated APIs in the cluster, and Pods behind them that do not let API servers in.
  returned: success
  type: list
  elements: dict
  sample:
    - kind: ValidatingWebhookConfiguration
      name: checks/check.example.com
      service: shop/checks
      port: 443
      pods: [shop/checks-0]
      cut_pods: [shop/checks-0]
      cut_addresses: [10.244.1.0]
verdicts:
  description: One entry for each of O(flows) and each address family that both ends have.
  returned: success
  type: list
  elements: dict
  contains:
    flow:
      description: Place of the flow in O(flows), from 0.
      type: int
    from:
      description: As given.
      type: str
    to:
      description: As given.
      type: str
    port:
      description: As given.
      type: int
    protocol:
      description: As given.
      type: str
    from_address:
      description: The source's address of this family, none when it has no address yet.
      type: str
    to_address:
      description: The same of the destination.
      type: str
    from_node:
      description: The node that the source is or runs on, none when that is not known.
      type: str
    verdict:
      description:
        - V(allow) or V(deny). V(unknown) when it is not known, with RV(verdicts[].reason) why, as with a policy that
          could not be read. V(no_path) when no packet has a way, as between ends without a common address family
          or to a Service without a ready endpoint.
      type: str
    family:
      description: V(ipv4) or V(ipv6), none when a Pod has no address yet.
      type: str
    seen_from:
      description: The source address that the destination's node sees. A node's own traffic is seen from flannel.1.
      type: str
    direction:
      description: Direction of the rule or the isolation that decides, none when no policy selects either end.
      type: str
    policy:
      description:
        - The policy that decides, or the first that isolates, as namespace and name. An admin policy has kind and name.
      type: str
    rule:
      description: Place of the rule that decides, from 0. None where it is denied because no rule allows it.
      type: int
    reason:
      description: Why, in words.
      type: str
    backends:
      description: For the address of a Service, the address, Pod and port of each ready endpoint with its verdict.
      type: list
      elements: dict
    egress:
      description: What the source's policies say.
      type: dict
    ingress:
      description: What the destination's policies say.
      type: dict
  sample:
    - flow: 0
      from: shop/web-0
      to: shop/db-0
      port: 5432
      protocol: TCP
      from_address: 10.244.1.7
      to_address: 10.244.2.9
      from_node: node-1
      verdict: allow
      family: ipv4
      seen_from: 10.244.1.7
      direction: ingress
      policy: shop/db
      rule: 0
      reason: ingress rule 0 of shop/db allows it
      backends: []
      egress: {isolated: false, allowed: true, policy: null, rule: null, policies: [], note: null}
      ingress: {isolated: true, allowed: true, policy: shop/db, rule: 0, policies: [shop/db], note: null}
unreadable:
  description: Objects and documents that are left out, and why. The API server would refuse such a policy.
  returned: success
  type: list
  elements: dict
  sample:
    - source: "policies/web.yaml document 2: NetworkPolicy shop/web"
      message: "spec.ingress[0].from[0] names no peer. Use podSelector, namespaceSelector or ipBlock."
unknown:
  description: What the report lacks because something could not be read.
  returned: success
  type: list
  elements: str
  sample:
    - "the API server's addresses are not known: no_apiserver and webhook_unreachable are not given"
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import sources
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import versions

FLOW = {
    "from": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "port": {"type": "int"},
    "protocol": {"type": "str", "choices": ["TCP", "UDP", "SCTP", "ICMP"], "default": "TCP"},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth.ARGUMENT_SPEC,
            "src": {"type": "list", "elements": "path", "default": []},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "flows": {"type": "list", "elements": "dict", "default": [], "options": FLOW},
            "sidecar_version": {"type": "str", "default": versions.DEFAULT},
            "api_servers": {"type": "list", "elements": "str", "default": []},
            "direct_routing": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        result = sources.run(module.params)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
