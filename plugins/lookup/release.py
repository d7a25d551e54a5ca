# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: release
short_description: Look up a release and its images in the version matrix
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - Returns what the collection's version matrix knows of a release. The roles take their defaults from here, so that a
    version is pinned in the matrix alone. Nothing is read from a host or a cluster.
  - Fails for a version that the matrix does not have, and names the nearest ones.
options:
  _terms:
    description:
      - Products. V(kubernetes), V(flannel), V(flannel_cni_plugin), V(cni_plugins), V(calico) or
        V(kube_network_policies).
    type: list
    elements: str
    required: true
  version:
    description:
      - The release, with or without a leading v. A minor like V(0.28) stands for its newest release in the matrix.
      - The default is the newest published release in the matrix, which is what the roles install.
    type: str
seealso:
  - plugin: podnet.cni.version_support
    plugin_type: filter
  - plugin: podnet.cni.version_changes
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Which images does the role install?
  ansible.builtin.debug:
    msg: "{{ lookup('podnet.cni.release', 'flannel').images }}"

- name: Does this release answer /readyz?
  ansible.builtin.debug:
    msg: "{{ lookup('podnet.cni.release', 'flannel', version='v0.27.4').features.readyz }}"
"""

RETURN = r"""
_raw:
  description: A release for each product.
  type: list
  elements: dict
  contains:
    product:
      description: The product.
      type: str
    tag:
      description: The release with a leading v.
      type: str
    images:
      description: Repository and tag of each image by its name, as manifest and chart of the release name them.
      type: dict
    features:
      description: The columns of the row and what the release can do.
      type: dict
    source:
      description: Address that shows the row.
      type: str
  sample:
    - product: flannel
      tag: v0.28.9
      images:
        flannel: {repository: ghcr.io/flannel-io/flannel, tag: v0.28.9}
        flannel_cni_plugin: {repository: ghcr.io/flannel-io/flannel-cni-plugin, tag: v1.9.1-flannel3}
        kube_network_policies: {repository: registry.k8s.io/networking/kube-network-policies, tag: v1.0.0}
      features: {nftables: true, readyz: true}
      source: https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/kube-flannel.yml
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._versions import question


class LookupModule(LookupBase):
    """Rows of the version matrix."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """A release for each product; an error says what is wrong."""
        self.set_options(var_options=variables, direct=kwargs)
        try:
            return [_release(product, self.get_option("version")) for product in terms]
        except PodnetError as error:
            raise AnsibleLookupError(str(error)) from error


def _release(product: str, version: str | None) -> dict[str, Any]:
    release = question.resolve(product, version or question.newest(product))
    images = {name: image.rpartition(":") for name, image in question.images(product, release).items()}
    return {
        "product": product,
        "tag": f"v{release}",
        "images": {name: {"repository": repository, "tag": tag} for name, (repository, _colon, tag) in images.items()},
        "features": question.features_of(product, release),
        "source": question.source_of(product, release),
    }
