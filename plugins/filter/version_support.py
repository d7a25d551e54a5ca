# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: version_support
short_description: Report whether releases of flannel, Kubernetes and their companions work together
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Asks the collection's version matrix about a combination of releases. Nothing is read from a host or a cluster.
  - A version that the matrix does not have is not an error; RV(_value.unknown) names its nearest rows.
  - Fails for a product that the matrix does not have, and for a value that is not a version.
positional: _input
options:
  _input:
    description:
      - Versions by product. Products are V(kubernetes), V(flannel), V(flannel_cni_plugin), V(cni_plugins), V(calico)
        and V(kube_network_policies).
      - Each as text, like V(1.36), V(v1.36.2) or V(v1.32.4+k3s1). Quote it in YAML, where 1.30 is the number 1.3.
    type: dict
    required: true
  features:
    description:
      - What is known of the cluster. What is left out is not judged.
      - Keys are C(nodes), a number; C(backend); C(kube_proxy_mode); C(enable_nftables), C(windows), C(dual_stack) and
        C(iptables), whether the nodes have it, each true or false; C(cgroup_version), V(1) or V(2); C(containerd), its
        version; C(cni_version), as the CNI configuration has it.
    type: dict
    default: {}
seealso:
  - plugin: podnet.cni.version_changes
    plugin_type: filter
  - plugin: podnet.cni.release
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Stop where the combination does not work
  ansible.builtin.assert:
    that: answer.supported
    fail_msg: "{{ (answer.problems | map(attribute='text') | list + answer.unknown) | join(' ') }}"
  vars:
    versions: {kubernetes: v1.36.2, flannel: v0.28.9}
    features: {enable_nftables: true, kube_proxy_mode: nftables, nodes: 300}
    answer: "{{ versions | podnet.cni.version_support(features) }}"

- name: Show what has to be there
  ansible.builtin.debug:
    msg: "{{ answer.needs | podnet.cni.text_table(['text', 'remedy']) }}"
  vars:
    answer: "{{ {'flannel': '0.27.4'} | podnet.cni.version_support({'enable_nftables': true}) }}"
"""

RETURN = r"""
_value:
  description: The answer.
  type: dict
  contains:
    supported:
      description: Whether every version is known and there is no problem.
      type: bool
    problems:
      description: What does not work, each with C(id), C(text), C(remedy) and C(source).
      type: list
      elements: dict
    needs:
      description: What has to be set or to be there, in the same form.
      type: list
      elements: dict
    notes:
      description: What is good to know, known faults of the releases among it, in the same form.
      type: list
      elements: dict
    unknown:
      description: A message for each version that the matrix does not have.
      type: list
      elements: str
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def version_support(versions: Any, features: Any = None) -> dict[str, Any]:
    """The answer of the matrix as plain data; an error says what is wrong with the input."""
    from ansible_collections.podnet.cni.plugins.module_utils._versions import question

    for name, value in (("_input", versions), ("features", {} if features is None else features)):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"version_support needs a dictionary as {name}, not {value!r}.")
    try:
        answer = question.support(versions, features)
    except PodnetError as error:
        raise AnsibleFilterError(str(error)) from error
    return {
        "supported": answer.supported,
        "problems": [asdict(each) for each in answer.problems],
        "needs": [asdict(each) for each in answer.needs],
        "notes": [asdict(each) for each in answer.notes],
        "unknown": list(answer.unknown),
    }


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"version_support": version_support}
