# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths of files on the controller, as somebody types them.

Private to podnet.cni: may change in any release.

Modules on the controller run in the directory of the playbook; for one that is run by its name it is the collection's.
"""

from __future__ import annotations

import os
from typing import Any

# The last is how what omits an option begins before ansible-core 2.19.
_UNTOUCHED = ("/", "~", "$", "__omit_place_holder__")


def absolute_path(path: Any) -> Any:
    """Return a path, or a list of them, counted from the directory in which ansible-playbook was started.

    What begins with C(~) or C($) is for the host to expand. What is undefined or omits an option stays.
    """
    if isinstance(path, list):
        return [absolute_path(each) for each in path]
    if not isinstance(path, str) or not path or path.startswith(_UNTOUCHED):
        return path
    return os.path.join(_started(), path)


def absolute_kubeconfig(path: Any) -> Any:
    """Return the same for a kubeconfig, which may be several files joined by colons."""
    return ":".join(absolute_path(path.split(":"))) if isinstance(path, str) else path


def _started() -> str:
    """The shell's name for it may lead through symbolic links; who starts others elsewhere leaves a wrong one."""
    directory, named = os.getcwd(), os.environ.get("PWD", "")
    return named if os.path.isabs(named) and os.path.realpath(named) == directory else directory
