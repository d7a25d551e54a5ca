# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An update of a DaemonSet, wave by wave.

C(waves) divides the nodes, C(gates) and C(logs) judge one node, C(state) is what survives between two steps,
C(target) what is to be changed; these are pure. C(cluster) reads and writes, C(driver) takes one step.

Private to podnet.cni: may change in any release.
"""
