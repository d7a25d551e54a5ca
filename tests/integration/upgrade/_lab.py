# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts in network namespaces, and playbooks run on them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration import _warm
from ansible_collections.podnet.cni.tests.integration._as_typed import as_typed, typed
from ansible_collections.podnet.cni.tests.integration.upgrade.conftest import environment


class Lab:
    """The hosts node1 and so on, in the group overlay."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inventory = directory / "lab.yml"
        self.name = f"up{os.getpid()}"
        number = os.getpid() % 250
        self.settings = {
            "lab_name": self.name,
            "lab_inventory_path": str(self.inventory),
            "lab_underlay_cidr": f"198.19.{number}.0/24",
            "lab_underlay_ipv6_cidr": f"fd00:18:{number:x}::/64",
        }

    def run(self, playbook: str, *arguments: str, **variables: Any) -> tuple[int, str]:
        """Exit status and output of a playbook."""
        inventory = ["-i", str(self.inventory)] if self.inventory.exists() and playbook != "podnet.cni.lab" else []
        done = _warm.ansible(
            "playbook",
            *(*inventory, *arguments, "-e", json.dumps(self._typed(playbook, variables)), playbook),
            environment={**environment(), "ANSIBLE_FORKS": "5"},
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def _typed(self, playbook: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The variables as strings, those of the roles that the playbook runs too."""
        roles = ["lab"] if playbook == "podnet.cni.lab" else ["node", "overlay", "upgrade", "upgrade_overlay"]
        found: dict[str, Any] = {}
        for role in roles:
            found.update(as_typed(role))
        # The lab's inventory says otherwise of its hosts, and the command line would win.
        for name in ("node_manage_packages", "node_manage_services", "overlay_manage_services"):
            found.pop(name, None)
        return {**found, **{name: typed(value) for name, value in variables.items()}}

    def command(self, hosts: str, *words: str) -> str:
        """Run a command on hosts; a line for each."""
        done = _warm.ansible(
            "adhoc",
            *(
                "-i",
                str(self.inventory),
                hosts,
                "-o",
                "-m",
                "ansible.builtin.command",
                "-a",
                json.dumps({"argv": words}),
            ),
            environment=environment(),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def away(self, host: str, since: Path | None = None) -> Iterator[None]:
        """The host's connection leads to where nobody listens, or does once this file is there."""
        gone = f"lookup('ansible.builtin.fileglob', '{since}')" if since else "true"
        variables = self.directory / "host_vars" / f"{host}.yml"
        variables.parent.mkdir(exist_ok=True)
        variables.write_text(
            f"ansible_connection: \"{{{{ 'ssh' if {gone} else 'podnet.cni.netns' }}}}\"\n"
            f"ansible_host: \"{{{{ '127.0.0.1' if {gone} else inventory_hostname }}}}\"\n"
            "ansible_port: 1\n"
        )
        yield
        variables.unlink()

    def make(self, **variables: Any) -> None:
        """Make the hosts."""
        code, said = self.run("podnet.cni.lab", **self.settings, **variables)
        assert code == 0, said

    def remove(self) -> None:
        """Remove them."""
        self.run("podnet.cni.lab", **self.settings, lab_state="absent")


@contextlib.contextmanager
def lab(directory: Path, **variables: Any) -> Iterator[Lab]:
    """A lab that is removed at the end."""
    made = Lab(directory)
    try:
        made.make(**variables)
        yield made
    finally:
        made.remove()
