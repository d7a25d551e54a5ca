# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes that a lab keeps running in a guest: units of the guest's own systemd, so that they outlive a reboot.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
import shlex
from typing import Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run
from ansible_collections.podnet.cni.plugins.module_utils._lab.plan import GUEST_TARGET, Process
from ansible_collections.podnet.cni.plugins.module_utils._lab.processes import LOG_LINES

UNITS = "/etc/systemd/system"
LOGS = "/var/log/podnet-lab"

UNIT = """\
# Written by podnet.cni.lab, revision {revision}
[Unit]
Description={name} of a podnet.cni lab
DefaultDependencies=no
Conflicts=shutdown.target
Before=shutdown.target
{after}
[Service]
{environment}ExecStart={command}
Restart=always
RestartSec=1
KillMode=process
Delegate=yes
StandardOutput=append:{logs}/{name}.log
StandardError=inherit

[Install]
WantedBy={target}
"""

# One line for each unit: its name, what systemd says of it, and the revision that it was started with.
STATES = f"""
cd {UNITS}
for unit in $(grep -ls '^# Written by podnet.cni.lab, revision' -- *.service); do
    echo "$unit $(systemctl is-active "$unit") $(sed -n '1s/.*revision //p' "$unit")"
done
"""

START = """
rm -f "$1"
cat > "$1"
mkdir -p "$2"
systemctl daemon-reload
systemctl enable --quiet "$3"
systemctl restart "$3"
"""


class GuestUnits:
    """Starts units, and says which run. C(inside) returns the command that runs one in a guest."""

    def __init__(self, run: Run, inside: Callable[[str, Sequence[str]], list[str]]) -> None:
        self.run = run
        self.inside = inside

    def revisions(self, host: str) -> dict[str, str | None]:
        """Return the revisions of the units by name, None for one that does not run. Raises PodnetError."""
        states: dict[str, str | None] = {}
        for line in self._sh(host, STATES).splitlines():
            unit, state, revision = line.split()
            # what systemd starts anew runs but for a moment
            states[unit[: -len(".service")]] = revision if state in ("active", "activating", "reloading") else None
        return states

    def log_tail(self, host: str, name: str) -> str:
        """Return the end of what a unit has written, in one line."""
        return " | ".join(self._sh(host, f"tail -n {LOG_LINES} {LOGS}/{shlex.quote(name)}.log || :").splitlines())

    def start(self, host: str, process: Process, after: str) -> None:
        """Start a process, anew where it runs, now and at each boot.

        It comes after the unit that C(after) names, where that is not empty.
        """
        unit = UNIT.format(
            revision=process.revision,
            name=process.name,
            after=f"After={after}.service\nWants={after}.service\n" if after else "",
            environment="".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in process.environment),
            command=" ".join(map(_quoted, process.argv)),
            logs=LOGS,
            target=GUEST_TARGET,
        )
        service = f"{process.name}.service"
        self._sh(host, START, unit, f"{UNITS}/{service}", LOGS, service)

    def _sh(self, host: str, script: str, text: str | None = None, *arguments: str) -> str:
        code, out, err = self.run(self.inside(host, ["sh", "-ec", script, "sh", *arguments]), text)
        if code != 0:
            raise PodnetError(f"The guest {host} does not do what it is asked for: {err.strip() or code}.")
        return out


def _quoted(word: str) -> str:
    """A word of a unit's command line (systemd.service(5), "Command lines"; systemd.unit(5), "Specifiers")."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if re.fullmatch(r"[\w%+,./:=@-]+", escaped):
        return escaped
    return '"' + escaped.replace("$", "$$") + '"'
