# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pod network needs to be put back: objects of the cluster, Node annotations, files of the nodes.

C(files) reads and writes on a node; C(directory) keeps a backup on disk, its checksums last; C(collect) reads the
cluster, C(objects) knows what belongs to a DaemonSet (pure), C(restore) writes to the cluster; C(run) is the module.

Private to podnet.cni: may change in any release.
"""
