# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: version_changes
short_description: Report what changes between two releases of flannel, Calico and their companions
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Asks the collection's version matrix what is different after an upgrade, or what is lost by going back. Nothing is
    read from a host or a cluster.
  - Fails for a product that the matrix does not have, and for a value that is not a version.
positional: _input
options:
  _input:
    description:
      - The versions that there are now, by product. Products are V(kubernetes), V(flannel), V(flannel_cni_plugin),
        V(cni_plugins), V(calico) and V(kube_network_policies).
    type: dict
    required: true
  target:
    description: The versions that there will be, by product. A product that only one side names is left out.
    type: dict
    required: true
  on_unknown:
    description:
      - What to do about a version that the matrix does not have. V(fail) fails; V(tell) returns an entry for it, whose
        RV(_value[].id) is V(unknown-version).
    type: str
    choices: [fail, tell]
    default: fail
seealso:
  - plugin: podnet.cni.version_support
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What does the upgrade ask of us before it starts?
  ansible.builtin.debug:
    msg: "{{ changes | selectattr('impact', 'equalto', 'manual') | map(attribute='action') }}"
  vars:
    installed: {flannel: v0.25.7, kubernetes: "1.29"}
    wanted: {flannel: v0.28.9, kubernetes: "1.36"}
    changes: "{{ installed | podnet.cni.version_changes(wanted) }}"
"""

RETURN = r"""
_value:
  description: The changes, product by product in the order in which they come.
  type: list
  elements: dict
  contains:
    product:
      description: The product.
      type: str
    version:
      description: The release that brings the change, or that is left on the way back.
      type: str
    id:
      description: Name of the change, unique within a product and version.
      type: str
    text:
      description: What is different.
      type: str
    action:
      description: What to do about it; empty where there is nothing to do.
      type: str
    impact:
      description:
        - V(none), V(restart) of other pods or processes, V(outage) of traffic, or V(manual) where somebody has to do
          something first.
      type: str
    source:
      description: Address that says so.
      type: str
  sample:
    - product: flannel
      version: 0.26.0
      id: br-netfilter-check
      text: The daemon exits where the kernel module br_netfilter is not loaded.
      action: Load br_netfilter on every node, now and at boot, and set net.bridge.bridge-nf-call-iptables to 1.
      impact: manual
      source: https://github.com/flannel-io/flannel/pull/2082
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def version_changes(current: Any, target: Any, on_unknown: str = "fail") -> list[dict[str, Any]]:
    """The changes of all products as plain data; an error says what is wrong with the input."""
    for name, value in (("_input", current), ("target", target)):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"version_changes needs a dictionary as {name}, not {value!r}.")
    if on_unknown not in ("fail", "tell"):
        raise AnsibleFilterError(f"version_changes: on_unknown is {on_unknown!r}: give fail or tell.")
    found = []
    for product in current:
        if product in target:
            found += _of(product, current[product], target[product], on_unknown == "tell")
    return found


def _of(product: str, before: str, after: str, tell: bool) -> list[dict[str, Any]]:
    from ansible_collections.podnet.cni.plugins.module_utils._versions import question

    try:
        changes = question.changes(product, before, after)
    except question.UnknownVersion as error:
        if tell:
            return [_unknown(product, error.version, str(error))]
        raise AnsibleFilterError(str(error)) from error
    except PodnetError as error:
        raise AnsibleFilterError(str(error)) from error
    return [{"product": product, **asdict(change)} for change in changes]


def _unknown(product: str, version: str, text: str) -> dict[str, Any]:
    from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES

    return {
        "product": product,
        "version": version,
        "id": "unknown-version",
        "text": text,
        "action": "Read the release notes of this version first.",
        "impact": "manual",
        "source": TABLES[product].source.partition("/blob/")[0],
    }


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"version_changes": version_changes}
