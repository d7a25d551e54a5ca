#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: netns_kubernetes
short_description: Create or remove a Kubernetes cluster on lab hosts
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Turns hosts of a lab that M(podnet.cni.netns_lab) made into real Kubernetes nodes, with kubelet, kube-proxy,
    containerd and runc, and one host into their control plane, with etcd, API server, controller manager and
    scheduler.
  - Makes a CA, certificates and kubeconfigs, and imports images from archives into every node.
  - Ends when the API server answers and every node has registered. The nodes have no pod network and so are not
    ready. Installing one is what such a cluster is for.
  - What differs is repaired. A process that died is started anew, with what it had on disk.
  - M(podnet.cni.netns_lab) with O(podnet.cni.netns_lab#module:state=absent) removes the cluster with its hosts.
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the steps that are taken.
  idempotent:
    support: full
  platform:
    platforms: linux
extends_documentation_fragment:
  - podnet.cni._attributes
options:
  lab:
    description: Name of the lab, O(podnet.cni.netns_lab#module:name).
    type: str
    required: true
  state_dir:
    description: Directory of all labs, O(podnet.cni.netns_lab#module:state_dir).
    type: path
    default: /run/podnet-lab
  data_dir:
    description: Directory for what nodes keep on disk, O(podnet.cni.netns_lab#module:data_dir).
    type: path
    default: /var/cache/podnet-lab
  control_plane:
    description: The host that gets the control plane. It becomes no node.
    type: str
    required: true
  nodes:
    description:
      - The hosts that become nodes. Like O(control_plane), each was made with
        O(podnet.cni.netns_lab#module:hosts[].containers=true).
    type: list
    elements: str
    required: true
  cluster:
    description: What kind of cluster it is.
    type: dict
    default: {}
    suboptions:
      programs:
        description:
          - Directories with the programs of a Kubernetes release, and of others that take the place of the
            machine's own, for example an etcd or CNI plugins.
          - After them, E(KUBEBUILDER_ASSETS), C(/usr/local/kubebuilder/bin) and E(PATH) are looked at.
        type: list
        elements: path
        default: []
      images:
        description:
          - Archives of images, as C(docker save) and C(buildah push) write them. Nodes reach no registry, so that
            every image that a pod needs has to be in one of them, the pause image included.
        type: list
        elements: path
        default: []
      sandbox_image:
        description:
          - The image that holds the namespaces of each pod. Left out, it is the one in O(cluster.images) that is
            called C(pause).
        type: str
      pod_cidrs:
        description: Network of the pods, or one of IPv4 and one of IPv6.
        type: list
        elements: str
        default: [10.244.0.0/16]
      service_cidrs:
        description: Network of the Services, or one of IPv4 and one of IPv6.
        type: list
        elements: str
        default: [10.96.0.0/16]
      endpoint:
        description:
          - Loopback address and port at which this machine reaches the API server. Each cluster of a machine needs
            one of its own.
        type: str
        default: 127.0.0.1:6443
      kubeconfig:
        description:
          - Where the administrator's kubeconfig is written on this machine. Left out, it is the file C(kubeconfig)
            in the directory of the lab.
        type: path
      extra_args:
        description:
          - Arguments for the programs besides those that the module gives, a list by the name of the program. These are
            C(etcd), C(kube-apiserver), C(kube-controller-manager), C(kube-scheduler), C(containerd), C(kubelet) and
            C(kube-proxy).
        type: dict
        default: {}
requirements:
  - root
  - Kubernetes 1.34 or newer
  - etcd, containerd 1.6 or newer, runc, nftables 1.0.1 or newer, the CNI reference plugins
  - systemd-socket-activate and systemd-socket-proxyd (systemd)
  - the Python package cryptography
notes:
  - Pods reach one another, Services, and the API server. Nothing resolves names, and the control plane reaches nodes,
    but neither pods nor Services, so that it can call no webhook in a pod.
seealso:
  - module: podnet.cni.netns_lab
"""

EXAMPLES = r"""
- name: Make four hosts
  podnet.cni.netns_lab:
    name: demo
    hosts:
      - {name: control1, containers: true}
      - {name: node1, containers: true}
      - {name: node2, containers: true}
      - {name: node3, containers: true}

- name: Make a cluster of them
  podnet.cni.netns_kubernetes:
    lab: demo
    control_plane: control1
    nodes: [node1, node2, node3]
    cluster:
      programs: [/opt/kubernetes/bin]
      images: [/srv/images/pause.tar, /srv/images/flannel.tar]
  register: made

- name: Ask it
  podnet.cni.kube_api_info:
    kubeconfig: "{{ made.kubernetes.kubeconfig }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be done, in order.
  returned: success
  type: list
  elements: str
  sample: [write /etc/kubernetes/kubelet.yaml in node1, start kubelet in node1]
kubernetes:
  description: The cluster.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the API server; an empty string in check mode where none runs.
      type: str
      sample: v1.36.3
    kubeconfig:
      description: The administrator's kubeconfig on this machine.
      type: str
      sample: /run/podnet-lab/demo/kubeconfig
    server:
      description: Address of the API server for this machine.
      type: str
      sample: https://127.0.0.1:6443
    images:
      description: The images that every node has.
      type: list
      elements: str
      sample: ["registry.k8s.io/pause:3.10"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import module_runner
from ansible_collections.podnet.cni.plugins.module_utils._lab.kubernetes_system import reconcile

CLUSTER: dict[str, Any] = {
    "programs": {"type": "list", "elements": "path", "default": []},
    "images": {"type": "list", "elements": "path", "default": []},
    "sandbox_image": {"type": "str"},
    "pod_cidrs": {"type": "list", "elements": "str", "default": ["10.244.0.0/16"]},
    "service_cidrs": {"type": "list", "elements": "str", "default": ["10.96.0.0/16"]},
    "endpoint": {"type": "str", "default": "127.0.0.1:6443"},
    "kubeconfig": {"type": "path"},
    "extra_args": {"type": "dict", "default": {}},
}

ARGUMENT_SPEC: dict[str, Any] = {
    "lab": {"type": "str", "required": True},
    "state_dir": {"type": "path", "default": "/run/podnet-lab"},
    "data_dir": {"type": "path", "default": "/var/cache/podnet-lab"},
    "control_plane": {"type": "str", "required": True},
    "nodes": {"type": "list", "elements": "str", "required": True},
    "cluster": {"type": "dict", "default": {}, "options": CLUSTER, "apply_defaults": True},
}


def main() -> None:
    """Bring the cluster to what is asked for, and say what was done."""
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = reconcile(module.params, module_runner(module), check=module.check_mode, warn=module.warn)
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
