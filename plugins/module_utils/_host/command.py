# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the I/O ring starts programs, so that its functions can be tried without a module.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
from typing import Any, Callable, Optional, Sequence, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import MissingError, PodnetError

# A command line and its standard input in; return code, standard output and standard error out.
# Raises FileNotFoundError when there is no such program.
Run = Callable[[Sequence[str], Optional[str]], Tuple[int, str, str]]


# What busybox begins to print where it is called by the name of a program and does not know an option.
_BUSYBOX = "BusyBox v"


def is_busybox(program: str) -> bool:
    """Whether a program is busybox under another name: it knows few of the options of the one that is meant."""
    return os.path.basename(os.path.realpath(program)).startswith("busybox")


def module_runner(module: Any) -> Run:
    """Return a Run that goes through C(module), an AnsibleModule.

    Programs are also looked for in the system directories that a login of an unprivileged user has not on PATH.
    """
    # What runs without Ansible imports this file, too. A module always has this one: basic.py imports it.
    get_bin_path = importlib.import_module("ansible.module_utils.common.process").get_bin_path

    def run(command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        try:
            program = get_bin_path(command[0])
        except ValueError as error:
            raise FileNotFoundError(str(error)) from error
        code, out, err = module.run_command(
            [program, *command[1:]],
            data=text,
            binary_data=True,
            environ_update={"LC_ALL": "C"},
            handle_exceptions=False,
        )
        return code, out, err

    return run


def plain_runner() -> Run:
    """Return a Run for a program without Ansible. It looks for programs where that of a module does."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/sbin", "/usr/sbin", "/usr/local/sbin"])

    def run(command: Sequence[str], text: str | None = None) -> tuple[int, str, str]:
        program = shutil.which(command[0], path=path)
        if program is None:
            raise FileNotFoundError(f"{command[0]} is not in {path}")
        done = subprocess.run(
            [program, *command[1:]],
            input=text or "",
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            env={**os.environ, "LC_ALL": "C"},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


def checked(run: Run, command: Sequence[str], text: str | None = None, *, missing: str, hint: str = "") -> str:
    """Run a command and return its standard output.

    Raises MissingError with C(missing) (the remedy) when the program is not there, or is that of busybox and refuses,
    and PodnetError with the command, its exit code, its first line of complaint and C(hint) when it fails.
    """
    try:
        code, out, err = run(command, text)
    except FileNotFoundError as error:
        raise MissingError(f"{command[0]} is not on PATH: {missing}") from error
    if code != 0 and _BUSYBOX in err + out:
        raise MissingError(f"{command[0]} is that of busybox, which cannot do {' '.join(command)}: {missing}")
    if code != 0:
        reason = (err.strip() or out.strip() or "no reason given").splitlines()[0]
        raise PodnetError(f"{' '.join(command)} failed with exit code {code}: {reason}{hint}")
    return out
