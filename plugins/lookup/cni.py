# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: cni
short_description: Find out which network runs under the pods of a cluster
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Finds flannel, Canal, Calico, Cilium, Antrea, Kube-OVN, OVN-Kubernetes, OpenShift SDN, kube-router, Weave Net,
    kindnet, the Amazon VPC CNI, Azure CNI, GKE Dataplane V2 and Multus, in whatever namespace and under whatever name.
  - Gives a record for each component, with its role, so that leftovers, duplicates and chained plugins are told apart.
  - Where no known plugin is found, the answer is one record whose RV(_raw[].plugin) is V(generic), or V(unknown) when
    not everything was read.
extends_documentation_fragment:
  - podnet.cni._discovery
seealso:
  - plugin: podnet.cni.flannel
    plugin_type: lookup
    description: The same for flannel alone.
"""

EXAMPLES = r"""
- name: Say what carries the pods of the current context
  ansible.builtin.debug:
    msg: "{{ network.plugin }} {{ network.version }} in {{ network.namespace }}: {{ network.health.state }}"
  vars:
    network: "{{ query('podnet.cni.cni') | selectattr('role', 'equalto', 'primary') | first }}"

- name: Two clusters that are to be joined must not share addresses
  ansible.builtin.assert:
    that: (item.overlaps + item.overlap_unknown) | length == 0
    fail_msg: "{{ item.cluster }} overlaps {{ item.overlaps }} or cannot be judged: {{ item.overlap_unknown }}"
  loop: "{{ query('podnet.cni.cni', 'east', 'west', summary=true) | selectattr('kind', 'equalto', 'summary') }}"
  loop_control:
    label: "{{ item.cluster }}"
"""

RETURN = r"""
_raw:
  description:
    - A record for each component, by cluster in the order of the terms, then by role, namespace and name.
    - With O(summary=true), a summary of each cluster after its records. Its RV(_raw[].overlaps) hold for what is known;
      RV(_raw[].overlap_unknown) says what is not.
    - All keys are always there; what is unknown is null or empty.
  type: list
  elements: dict
  contains:
    kind:
      description: V(component), or V(summary).
      type: str
    schema_version:
      description: Version of the shape of the record.
      type: str
      sample: "1.0"
    cluster:
      description: The context, or the address of the API server.
      type: str
    plugin:
      description: >-
        V(flannel), V(canal), V(calico), V(cilium), V(antrea), V(kube-ovn), V(ovn-kubernetes), V(openshift-sdn),
        V(kube-router), V(weave), V(kindnet), V(aws-vpc-cni), V(azure-cni), V(gke-dataplane-v2), V(multus),
        V(generic) or V(unknown).
      type: str
    role:
      description: >-
        V(primary) carries the pods. The others are V(part) of that network, V(chained), V(policy), V(secondary),
        V(meta), V(duplicate) and V(leftover).
      type: str
    install_method:
      description: V(manifest), V(kustomize), V(helm), V(operator), V(embedded), V(distro) or V(unknown).
      type: str
    distribution:
      description: Whose Kubernetes this is, like V(k3s), V(rke2) or V(openshift); null when it leaves no mark.
      type: str
    settings_owner:
      description:
        - The file or object by which k3s or RKE2 decides about the network that it brings, which
          R(the role distribution_network, ansible_collections.podnet.cni.distribution_network_role) changes; null for
          other networks. A change anywhere else is written over.
      type: str
      sample: 'RKE2: HelmChartConfig kube-system/rke2-canal'
    version:
      description: Version from the tag of the daemon's image.
      type: str
      sample: v0.28.9
    version_build:
      description: What follows the version in the tag.
      type: str
    version_confidence:
      description: V(image-tag) or V(none).
      type: str
    namespace:
      description: Namespace of the workload; null for a plugin inside the distribution's own process.
      type: str
    workloads:
      description: The DaemonSets, with what their status says and their containers.
      type: list
      elements: dict
    config_refs:
      description: The objects the configuration was looked for in, and whether they were found.
      type: list
      elements: dict
    labels:
      description: Labels of the main workload.
      type: dict
    annotations:
      description: Annotations of the main workload.
      type: dict
    networking:
      description: Addresses and encapsulation.
      type: dict
      contains:
        pod_cidrs:
          description: Ranges of the pods, each with C(cidr), C(family), C(source) and C(confidence).
          type: list
          elements: dict
        service_cidrs:
          description: Ranges of the services, in the same shape.
          type: list
          elements: dict
        ip_families:
          description: V(ipv4) and V(ipv6), the primary one first.
          type: list
          elements: str
        encapsulation:
          description: >-
            V(vxlan), V(geneve), V(ipip), V(wireguard), V(ipsec), V(udp), V(host-gw), V(none), V(mixed) or V(cloud).
          type: str
        backend:
          description: Settings of the backend; a pre-shared key only as C(psk_set).
          type: dict
        mtu:
          description: Configured MTU; null when the plugin works it out, which RV(_raw[].networking.mtu_auto) says.
          type: int
        mtu_auto:
          description: Whether the plugin works the MTU out.
          type: bool
        ipam:
          description: V(node-podcidr), V(calico-ipam), V(cluster-pool), V(kube-ovn), V(cloud) or V(other).
          type: str
        masquerade:
          description: Whether traffic that leaves the pods' ranges is masqueraded.
          type: bool
        interface_selection:
          description: Interfaces that the daemon was told to use.
          type: dict
        nftables:
          description: Whether the plugin uses nftables.
          type: bool
    policy:
      description: Who enforces NetworkPolicy objects, as C(provider).
      type: dict
    cni:
      description: The file name expected on the nodes, and the plugins chained in it.
      type: dict
    nodes:
      description:
        - C(total) counts all Nodes.
        - C(read), C(with_pod_cidr), C(annotated), C(ready) and C(network_unavailable) count the ones that were read.
        - C(sample) describes up to 20 of them. C(inconsistencies) says where they disagree.
      type: dict
    health:
      description: C(state) is V(healthy), V(degraded), V(broken), V(disabled) or V(unknown); C(reasons) are codes.
      type: dict
    scope:
      description: V(cluster), or V(partial) when something was forbidden, or V(namespace) with O(mode=namespaces).
      type: str
    evidence:
      description: Facts, where they were read, and their weight.
      type: list
      elements: dict
    confidence:
      description: >-
        V(certain), V(likely), V(possible) or V(weak), from the evidence. One step lower where RV(_raw[].scope) is
        V(partial).
      type: str
    warnings:
      description: What a person should know.
      type: list
      elements: str
    config_error:
      description: What is wrong with the configuration.
      type: str
    searched:
      description:
        - By what DaemonSets were looked for. V(labels) and names that are known, also the pods of one V(node), also
          V(images), V(all) of them were read, or V(namespaces) with O(mode=namespaces). Only with V(all) a component
          that is not in the answer is not there.
      type: str
    stale_suspected:
      description: Whether only traces of the plugin were found.
      type: bool
    collected_at:
      description: When the cluster was asked, in UTC.
      type: str
    server_version:
      description: Version of the API server.
      type: str
    api_calls:
      description: How many requests it took.
      type: int
    not_looked_for:
      description: Only in a summary. What may be there beside the components that were found, and how to look for it.
      type: list
      elements: str
    overlaps:
      description: Only in a summary. Its ranges that overlap a range of another cluster of the lookup.
      type: list
      elements: dict
    overlap_unknown:
      description: >-
        Only in a summary. Why an empty RV(_raw[].overlaps) proves nothing. The cluster was not read wholly, or what
        carries its pods or one of its ranges is unknown.
      type: list
      elements: str
"""

from ansible_collections.podnet.cni.plugins.plugin_utils._discovery_lookup import DiscoveryLookup


class LookupModule(DiscoveryLookup):
    """All components."""

    name = "podnet.cni.cni"
