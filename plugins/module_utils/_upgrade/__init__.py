# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade: what changes, on which nodes in which wave, what is kept, what cannot be taken back.

C(versions) reads versions out of images, C(network) compares network configs, C(waves) divides the nodes, C(plan)
puts it together, C(hosts) does so for hosts that the role overlay programs, and C(text) shows it; these are pure.
C(observe) reads the cluster.

Private to podnet.cni: may change in any release.
"""
