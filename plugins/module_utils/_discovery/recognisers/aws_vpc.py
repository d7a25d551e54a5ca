# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Amazon VPC CNI: pods have addresses of the VPC, which the Kubernetes API does not know.

Source: amazon-vpc-cni-k8s config/master/aws-k8s-cni.yaml.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build, objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser, Snapshot
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


def is_aws_node(container: Obj) -> bool:
    return objects.image_is(container, "amazon-k8s-cni") or fields.text(container, "name") == "aws-node"


def match(daemonset: Obj) -> int:
    if any(is_aws_node(container) for container in objects.containers(daemonset)):
        return build.SIGNATURE
    return build.LABEL_ONLY if objects.labels(daemonset).get("k8s-app") == "aws-node" else 0


def recognise(_snapshot: Snapshot, daemonsets: Sequence[Obj]) -> list[Record]:
    records = []
    for group in build.by_namespace(daemonsets).values():
        record = build.start("aws-vpc-cni", group, is_aws_node, match)
        record.cni.conf_name = "10-aws.conflist"
        record.networking.ipam = "cloud"
        record.networking.encapsulation = "cloud"
        daemon = build.daemon_of(group[0], is_aws_node)
        environment = objects.environment(daemon) if daemon is not None else {}
        build.set_mtu(record, environment.get("AWS_VPC_ENI_MTU"))
        record.networking.masquerade = environment.get("AWS_VPC_K8S_CNI_EXTERNALSNAT", "false") != "true"
        record.networking.backend = {
            "type": "vpc",
            "prefix_delegation": environment.get("ENABLE_PREFIX_DELEGATION") == "true",
            "custom_network": environment.get("AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG") == "true",
            "ipv6": environment.get("ENABLE_IPv6") == "true",
        }
        records.append(record)
    return records


RECOGNISER = Recogniser(
    plugin="aws-vpc-cni",
    order=65,
    match=match,
    recognise=recognise,
    labels={"k8s-app": ("aws-node",)},
)
