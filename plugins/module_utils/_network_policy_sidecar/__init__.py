# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sidecar kube-network-policies in flannel's DaemonSets.

C(versions) holds what differs between its releases, C(objects) makes the container and the RBAC objects,
C(plan) compares them with the cluster and C(run) reads and writes.

Private to podnet.cni: may change in any release.
"""
