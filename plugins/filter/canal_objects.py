# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: canal_objects
short_description: Make the objects of a cluster out of Canal's release manifest
version_added: 0.1.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Takes the documents of upstream's manifest and gives the objects to apply, with the settings of the cluster in them.
  - Refuses what is no manifest of Canal, is not whole, holds an object twice or one that does not belong there, or is
    of a release that the version matrix does not know.
  - The role P(podnet.cni.canal#role) uses it.
positional: _input
options:
  _input:
    description: The documents, as the lookup P(podnet.cni.canal_manifest#lookup) gives them.
    type: list
    elements: dict
    required: true
  settings:
    description:
      - What is wanted. Keys are C(network_config), which is required, C(interface), C(interface_regex),
        C(masquerade), C(mtu), C(image_registry), C(images), C(image_pull_secrets), C(flannel_version), C(health_port),
        C(subnet_file), C(network_name) and C(old_conf_name). They mean what the role's variables of these names mean.
    type: dict
    required: true
  place:
    description:
      - Where the objects go, as RV(podnet.cni.canal_adopt#module:place) has it. The manifest's own place when it is
        not given.
    type: dict
seealso:
  - plugin: podnet.cni.canal_manifest
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Show which images would run
  ansible.builtin.debug:
    msg: "{{ canal.calico }} {{ canal.flannel }}"
  vars:
    canal: >-
      {{ query('podnet.cni.canal_manifest', 'canal.yaml')
         | podnet.cni.canal_objects({'network_config': {'Network': '10.244.0.0/16', 'Backend': {'Type': 'vxlan'}}}) }}
"""

RETURN = r"""
_value:
  description: The objects and what is known about them.
  type: dict
  contains:
    calico:
      description: Version of Calico, without its v.
      type: str
      sample: 3.32.1
    flannel:
      description: Version of flannel, empty when its image does not tell.
      type: str
      sample: 0.28.9
    place:
      description: Where the objects go.
      type: dict
    containers:
      description: Names of the containers that run Calico and flannel.
      type: dict
      sample:
        calico: calico-node
        flannel: kube-flannel
    crds:
      description: Names of the CustomResourceDefinitions.
      type: list
      elements: str
    objects:
      description: The objects in the manifest's order.
      type: list
      elements: dict
    warnings:
      description: What a person should know.
      type: list
      elements: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._canal import manifest, transform
from ansible_collections.podnet.cni.plugins.module_utils._canal import settings as wanted
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


def canal_objects(
    documents: Sequence[Mapping[str, Any]], settings: Mapping[str, Any], place: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The objects; an error says what is wrong and what to do."""
    try:
        found = manifest.read(documents)
        where = wanted.place_from(place) if place else transform.place_of(found)
        result = transform.transform(found, wanted.parse(settings), where)
        return transform.to_dict(found, result, where)
    except PodnetError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Names the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"canal_objects": canal_objects}
