# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out which network runs under the pods of a cluster, from its API alone.

C(record) is the answer, C(snapshot) what was read, C(recognisers) turn the one into the other,
C(cluster) does the reading. Private to podnet.cni: may change in any release.
"""
