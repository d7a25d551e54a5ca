# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who owns a setting of the network in somebody else's Kubernetes: k3s, RKE2, Rancher, RKE1, kubeadm and others.

C(node) and C(cluster) gather texts and objects; everything else is a pure function over them. C(report) names each
setting with its owner, C(audit) judges.

Private to podnet.cni: may change in any release.
"""
