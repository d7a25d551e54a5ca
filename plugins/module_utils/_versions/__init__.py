# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version matrix: what releases of flannel, its CNI plugins, Calico, the policy sidecar and Kubernetes need.

Private to podnet.cni: may change in any release.

The data are literals, a file for each product: C(flannel), C(cni), C(calico), C(kube_network_policies) and
C(kubernetes); C(rules) holds what a combination needs or cannot do. C(matrix) puts them together. C(question)
holds the pure functions that answer from them.
"""
