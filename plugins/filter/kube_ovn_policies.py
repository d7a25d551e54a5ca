# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: kube_ovn_policies
short_description: Render the admission policies that let pods inherit Kube-OVN annotations
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Checks the configuration, and refuses mistakes in it.
  - Gives the MutatingAdmissionPolicy that copies annotations from a namespace to its new pods, and its binding.
  - With an annotation in mode V(enforce) also the ValidatingAdmissionPolicy that keeps it on running pods.
  - By option also the ValidatingAdmissionPolicy that refuses unusable values on namespaces.
positional: _input
options:
  _input:
    description: The configuration, as option O(podnet.cni.kube_ovn_inheritance_sync#module:config) has it.
    type: dict
    required: true
  name:
    description: Name of the mutating policy. The validating ones get C(-enforced) and C(-values) behind it.
    type: str
    default: kube-ovn-inheritance
  version:
    description: API version of the mutating policy that the server serves.
    type: str
    choices: [v1, v1beta1, v1alpha1]
    default: v1
  failure_policy:
    description: What happens when a policy cannot be evaluated.
    type: str
    choices: [Ignore, Fail]
    default: Ignore
  validate_namespaces:
    description: Whether to refuse unusable values on namespaces.
    type: bool
    default: true
seealso:
  - module: podnet.cni.kube_ovn_inheritance_sync
"""

EXAMPLES = r"""
- name: Write the policies to a file, for another tool to apply
  ansible.builtin.copy:
    dest: policies.json
    content: "{{ {'annotations': ['routes', 'port_security']} | podnet.cni.kube_ovn_policies }}"
    mode: "0644"
"""

RETURN = r"""
_value:
  description: The objects, ready to apply.
  type: list
  elements: dict
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def kube_ovn_policies(
    document: Any,
    name: str = "kube-ovn-inheritance",
    version: str = "v1",
    failure_policy: str = "Ignore",
    validate_namespaces: bool = True,
) -> list[dict[str, Any]]:
    """Render the policies; raises AnsibleFilterError for a mistake in the configuration or an unknown choice."""
    for option, value, known in (
        ("version", version, ("v1", "v1beta1", "v1alpha1")),
        ("failure_policy", failure_policy, ("Ignore", "Fail")),
    ):
        if value not in known:
            raise AnsibleFilterError(f"kube_ovn_policies: {option} is {value!r}: use one of {', '.join(known)}.")
    from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config, policy

    try:
        parsed = config.parse(document)
    except InputError as error:
        raise AnsibleFilterError(f"kube_ovn_policies: {error}") from error
    objects = policy.mutating_policy(parsed, name, version, failure_policy)
    objects += policy.enforcing_policy(parsed, f"{name}-enforced", failure_policy)
    if validate_namespaces:
        objects += policy.namespace_policy(parsed, f"{name}-values", failure_policy)
    return objects


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filter by its name."""
        return {"kube_ovn_policies": kube_ovn_policies}
