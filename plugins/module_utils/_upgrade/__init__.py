# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade: what changes, on which nodes in which wave, what is kept, what cannot be taken back.

``versions`` reads versions out of images, ``network`` compares network configs, ``waves`` divides the nodes, ``plan``
puts it together, ``hosts`` does so for hosts that the role overlay programs, and ``text`` shows it; these are pure.
``observe`` reads the cluster.

Private to podnet.cni: may change in any release.
"""
