# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes NetworkPolicy without a cluster: parse, index, judge a connection, report what enforcement changes.

Private to podnet.cni: may change in any release.

What a policy means is defined at https://kubernetes.io/docs/concepts/services-networking/network-policies/ and in the
API reference of networking.k8s.io/v1. Where the agent kube-network-policies differs, C(profile) says so.
"""

from __future__ import annotations
