# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: netns
short_description: Run tasks in the pinned namespaces of a lab host on this machine
version_added: 1.0.0
author: podnet.cni contributors (@podnet-cni)
description:
  - A host is a network, a mount and a UTS namespace on the machine that runs Ansible. It has its own
    interfaces, routes, firewall and C(net.*) sysctls, its own files below the directories that were made
    private, and its own host name.
  - Each namespace is pinned by a file, C(net), C(mnt) and C(uts), in one directory per host.
    M(podnet.cni.netns_lab) makes such hosts. Any other program that pins namespaces with C(unshare
    --net=FILE) may make them too.
  - Commands run through C(nsenter) as the user that runs Ansible, which has to be C(root). Privilege
    escalation to other users works as with P(ansible.builtin.local#connection).
  - A host whose namespaces do not exist is unreachable. It is not reported as failed.
options:
  netns_name:
    description: Name of the directory below O(netns_state_dir) that holds the pins of the host.
    type: string
    default: inventory_hostname
    vars:
      - name: inventory_hostname
      - name: ansible_host
      - name: ansible_netns_name
  netns_state_dir:
    description: Directory that holds one directory of pins per host.
    type: path
    default: /run/podnet-lab/lab/hosts
    env:
      - name: PODNET_NETNS_STATE_DIR
    vars:
      - name: ansible_netns_state_dir
  become_success_timeout:
    description:
      - Number of seconds to wait for privilege escalation to succeed.
      - The default is used if the value is less than 1.
    type: int
    default: 10
    vars:
      - name: ansible_netns_become_success_timeout
  become_strip_preamble:
    description:
      - Strip what privilege escalation prints before the command starts. Disable this for diagnosis.
    type: bool
    default: true
    vars:
      - name: ansible_netns_become_strip_preamble
extends_documentation_fragment:
  - ansible.builtin.connection_pipelining
notes:
  - The hosts share processes, users, time and every file outside their private directories with this
    machine. A task that installs packages, manages services or loads kernel modules acts on the machine
    itself.
  - The loopback address of a host is its own. Nothing that listens on C(127.0.0.1) of the machine can be
    reached from it.
  - E(ANSIBLE_REMOTE_TMP) lies in the mount namespace of the host, but usually in a directory that all hosts
    share. Ansible gives each task a directory of its own there.
requirements:
  - nsenter (util-linux) on the machine that runs Ansible
  - root, or every capability that setns(2) asks for
seealso:
  - module: podnet.cni.netns_lab
  - plugin: ansible.builtin.local
    plugin_type: connection
"""

EXAMPLES = r"""
# inventory.yml
all:
  vars:
    ansible_connection: podnet.cni.netns
    ansible_netns_state_dir: /run/podnet-lab/demo/hosts
    # the interpreter of the machine, with the libraries that are installed for it
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  hosts:
    node1:
    node2:
"""

import os
import re
import shlex
import shutil
import subprocess
from typing import IO, Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError, AnsibleFileNotFound
from ansible.module_utils.common.text.converters import to_native, to_text
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.utils.display import Display

display = Display()

KINDS = ("net", "mnt", "uts")
NSENTER_FLAGS = {"net": "--net", "mnt": "--mount", "uts": "--uts"}

# What nsenter (util-linux, sys-utils/nsenter.c) prints when it did not get as far as starting the command.
NSENTER_FAILED = re.compile(rb"^nsenter: (cannot open |reassociate to namespace )")


def nsenter_argv(pins: str) -> list[str]:
    """Return the nsenter command line for the three namespaces pinned in the directory C(pins)."""
    return ["nsenter", *(f"{NSENTER_FLAGS[kind]}={os.path.join(pins, kind)}" for kind in KINDS), "--"]


def missing_pin(pins: str) -> str | None:
    """Return the path of the first pin in the directory C(pins) that is not a namespace, or None if all three are.

    After a reboot the file may be left while the namespace is gone. A file of nsfs has the device number of
    nsfs, which
    C(/proc/self/ns/net) shares.
    """
    nsfs = os.stat("/proc/self/ns/net").st_dev
    for kind in KINDS:
        path = os.path.join(pins, kind)
        try:
            if os.stat(path).st_dev != nsfs:
                return path
        except OSError:
            return path
    return None


class Connection(LocalConnection):
    """The C(local) connection, with each command started inside the namespaces of a lab host."""

    transport = "podnet.cni.netns"
    has_pipelining = True

    @property
    def pins(self) -> str:
        """The directory that holds the pins of this host."""
        name = self.get_option("netns_name")
        if not name or name == "inventory_hostname":
            name = self._play_context.remote_addr
        return os.path.join(str(self.get_option("netns_state_dir")), str(name))

    def _connect(self) -> Connection:
        if shutil.which("nsenter") is None:
            raise AnsibleConnectionFailure(
                "nsenter is not on PATH. Install util-linux on the machine that runs Ansible."
            )
        if os.geteuid() != 0:
            raise AnsibleConnectionFailure(
                f"Entering the namespaces in {self.pins} needs root, and Ansible runs with the user id {os.geteuid()}. "
                "Run ansible-playbook as root."
            )
        missing = missing_pin(self.pins)
        if missing:
            raise AnsibleConnectionFailure(
                f"{missing} is not a namespace: the lab host does not exist. "
                "Make it with the playbook podnet.cni.lab, or correct ansible_netns_state_dir and ansible_netns_name."
            )
        super()._connect()
        return self

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        """Run C(cmd) with C(/bin/sh) in the namespaces; return exit status, standard output and standard error."""
        self._connect()
        # exec: the shell that the local plugin starts is replaced, so that signals and the prompt reach
        # nsenter itself
        wrapped = f"exec {shlex.join([*nsenter_argv(self.pins), '/bin/sh', '-c', to_text(cmd)])}"
        status, out, err = super().exec_command(wrapped, in_data=in_data, sudoable=sudoable)
        if status and not out and NSENTER_FAILED.match(err):
            raise AnsibleConnectionFailure(f"Cannot enter the namespaces in {self.pins}: {to_native(err).strip()}")
        return status, out, err

    def put_file(self, in_path: str, out_path: str) -> None:
        """Copy the file C(in_path) of the controller to C(out_path) in the mount namespace of the host."""
        self._connect()
        display.vvv(f"PUT {in_path} TO {out_path}", host=self._play_context.remote_addr)
        try:
            with open(in_path, "rb") as source:
                self._transfer(f"cat > {shlex.quote(to_text(out_path))}", f"write {out_path}", stdin=source)
        except FileNotFoundError as error:
            raise AnsibleFileNotFound(file_name=in_path) from error

    def fetch_file(self, in_path: str, out_path: str) -> None:
        """Copy the file C(in_path) in the mount namespace of the host to C(out_path) of the controller."""
        self._connect()
        display.vvv(f"FETCH {in_path} TO {out_path}", host=self._play_context.remote_addr)
        try:
            with open(out_path, "wb") as target:
                self._transfer(f"cat -- {shlex.quote(to_text(in_path))}", f"read {in_path}", stdout=target)
        except OSError as error:
            raise AnsibleError(f"Cannot write {out_path} on the controller: {error.strerror}.") from error

    def _transfer(self, command: str, what: str, **streams: IO[Any]) -> None:
        """Run C(command) in the namespaces with the given streams; C(what) says in the error what was attempted."""
        # the files are open already: nsenter keeps them, whatever the mount namespace shows at their paths
        options: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **streams}
        argv = [*nsenter_argv(self.pins), "/bin/sh", "-c", command]
        done = subprocess.run(argv, stderr=subprocess.PIPE, check=False, **options)
        if done.returncode == 0:
            return
        reason = to_native(done.stderr).strip()
        if NSENTER_FAILED.match(done.stderr):
            raise AnsibleConnectionFailure(f"Cannot enter the namespaces in {self.pins}: {reason}")
        raise AnsibleError(f"Cannot {what} on the host {os.path.basename(self.pins)}: {reason}")

    def reset(self) -> None:
        """Forget that the namespaces were seen, so that the next command looks for them again."""
        self.close()
