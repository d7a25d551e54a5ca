# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One picture of a network: a document made of what its hosts, its lease store and measurements told; no I/O.

C(document.build) is the way in. What it takes is C(gathered), a mapping:

* C(taken): when, as ISO 8601 in UTC.
* C(network_config): the network config by upstream's names, or None.
* C(store): C(state) (read, away or not_asked), C(kind), C(reason), C(leases) and C(problems) as the module
  flannel_lease_info returns them.
* C(hosts): by inventory name, each with C(reason) where the host gave no facts; else C(facts) (module
  preflight_host_info), C(dataplane) (flannel_dataplane in check mode), C(links) (flannel_dataplane_info), C(pod)
  (C(addresses) of a pod there), C(probes) (pod_network_probe), C(udp) where a tunnel fails (see directions);
  C(daemon) (flanneld_info) where flanneld is to run, C(sidecar) (network_policy_host_info) where policies are to hold,
  C(node_name) of its Node.
* C(cluster): where the network runs in pods, the facts of preflight_cluster_info with network_pods, or C(msg).
* C(left_out): names or public IPs of hosts that nobody needs to look at.
* C(sample): number of others that each host measures, 0 for all.

Private to podnet.cni: may change in any release.
"""
