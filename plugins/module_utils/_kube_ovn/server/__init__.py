# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The admission server: answers the API server for new pods and namespaces, and keeps running pods in step by option.

Private to podnet.cni: may change in any release.

It needs Python 3.8 or newer and nothing else, so it runs on a stock Python image from a ConfigMap.
"""
