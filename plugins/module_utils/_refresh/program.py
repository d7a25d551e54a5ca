# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that brings a node's peers up to date from their leases, without Ansible and without a controller.

Private to podnet.cni: may change in any release.

It does what module flannel_dataplane does with O(store), by the same code and under the same lock, and only reads the
store. Nodes of a cluster it reads with the standard library alone, so a host needs no Kubernetes client. What is not
a matter of peers it refuses and leaves to the playbook: another network config, a lease of its own that is gone or
somebody else's, and a store that cannot tell all leases.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sys
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Sequence, TextIO

from ansible_collections.podnet.cni.plugins.module_utils._dataplane import kernel
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import task
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.request import Outcome
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile.run import reconcile
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._host.command import plain_runner
from ansible_collections.podnet.cni.plugins.module_utils._kube.plain import PlainReader
from ansible_collections.podnet.cni.plugins.module_utils._stores import configs, kubernetes_options, options
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import AccessError, Listing, StoreError
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd import EtcdStore
from ansible_collections.podnet.cni.plugins.module_utils._stores.etcd_client import EtcdClient
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_reading import NodeReader, asked

DATAPLANE_OPTIONS = (
    "interface",
    "flanneld",
    "move_bridge",
    "firewall",
    "remove_firewall_leftovers",
    "ip_masq",
    "subnet_file",
    "restore_dir",
    "wireguard_key_file",
    "lock_timeout",
)
"""Options of flannel_dataplane that the settings name as the last run of the playbook gave them."""
ETCD_OPTIONS = tuple(name for name in options.ETCD_ARGUMENT_SPEC if name != "etcd_password")
KUBERNETES_OPTIONS = ("kube_namespace", "kube_config_map", "kube_annotation_prefix", "kube_timeout")
"""Without C(kube_config_map) the network config is that of the settings, as where flannel is part of a distribution."""
SETTINGS = (
    *("store", "lease", "network_config", "etcd_password_file", "kubeconfig"),
    *(*ETCD_OPTIONS, *KUBERNETES_OPTIONS, *DATAPLANE_OPTIONS),
)
RIGHTS = {
    "etcd": "read in place of readwrite is enough",
    "kubernetes": "get and list of nodes are enough, with get of the ConfigMap that holds the network config",
}
HIDDEN = "********"
UNTOUCHED = "nothing was changed"
# What systemd takes for the level of a line (https://www.freedesktop.org/software/systemd/man/latest/sd-daemon.html).
_ERROR, _WARNING, _NOTICE, _INFO = 3, 4, 5, 6


@dataclass
class Log:
    """Lines for the journal, without C(secrets). With C(levels) each starts with its level, as systemd reads it."""

    stream: TextIO
    levels: bool
    secrets: list[str] = field(default_factory=list, repr=False)

    def __call__(self, level: int, text: str) -> None:
        """Write the lines of C(text)."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        for line in text.splitlines():
            self.stream.write(f"<{level}>{line}\n" if self.levels else f"{line}\n")
        self.stream.flush()


def main(arguments: Sequence[str]) -> int:
    """Bring this node up to date and return the exit code: 0 when it is, 1 for a failure.

    C(arguments) are those of the command line.
    """
    parser = argparse.ArgumentParser(description="Bring this node's peers up to date from their leases.")
    parser.add_argument("settings", help="the file that the role overlay wrote")
    parser.add_argument("--check", action="store_true", help="say what would be done, and change nothing")
    given = parser.parse_args(arguments)
    log = Log(sys.stdout, "JOURNAL_STREAM" in os.environ)
    settings: Mapping[str, Any] = {}
    try:
        settings = read_settings(given.settings)
        outcome = refresh(settings, given.check, log)
    except StoreError as error:
        # The store is only read, and before anything else is done.
        hint = f". This program only reads: {RIGHTS[settings['store']]}" if isinstance(error, AccessError) else ""
        log(_ERROR, f"{str(error).rstrip('.')}; {UNTOUCHED}{hint}")
        return 1
    except PodnetError as error:
        log(_ERROR, str(error))
        return 1
    report(outcome, given.check, log)
    return 0


def read_settings(path: str) -> dict[str, Any]:
    """Return the settings with the password from its own file. Raises InputError for a file that is not complete."""
    text = atomic_file.observe(path).text
    try:
        settings = json.loads(text or "")
    except ValueError as error:
        raise InputError(f"{path} is not JSON; run podnet.cni.overlay again, which writes it") from error
    wrong = sorted(set(SETTINGS) ^ set(settings)) if isinstance(settings, dict) else ["everything"]
    if wrong:
        raise InputError(f"{path}: {', '.join(wrong)} should not be so; run podnet.cni.overlay again, which writes it")
    file = settings["etcd_password_file"]
    password = atomic_file.observe(file).text if file else None
    if file and not password:
        raise InputError(f"etcd_password_file {file} is not there or empty; run podnet.cni.overlay again")
    return {**settings, "etcd_password": (password or "").rstrip("\n") or None}


def refresh(settings: Mapping[str, Any], check: bool, log: Log) -> Outcome:
    """Read the store and bring this node's data plane up to date, or with C(check) only find out what is to be done.

    Raises PodnetError, which names the reason, when the node was left as it is, or the kernel refused something.
    """
    host = socket.gethostname()
    log.secrets += [settings["etcd_password"]] if settings["etcd_password"] else []
    store = open_store(settings)
    # Before the lock: a store that is away keeps nobody else waiting.
    try:
        config = store.require_config().usable()
    except ConflictError as error:
        raise ConflictError(f"{error}: {UNTOUCHED}") from error
    log.secrets += network_config.secret_texts(config.given)
    refuse_config(config, settings["network_config"], ranges=settings["store"] != "kubernetes")
    with Lock(host, settings["lock_timeout"]):
        # Under the lock, so that what a playbook has just programmed is never replaced by something older.
        listing = store.list_leases()
        # A Node that is of no flanneld has a podCIDR and no lease, which costs nobody anything.
        named = {problem.key for problem in listing.problems}
        listing = replace(listing, blocked=tuple(one for one in listing.blocked if one.key in named))
        refuse_leases(listing, settings["lease"], store.where)
        params = {
            **{name: settings[name] for name in DATAPLANE_OPTIONS},
            "state": "present",
            "lease": {name: settings["lease"].get(name) for name in ("subnet", "ipv6_subnet")},
        }
        request = task.request(
            params, lambda: (config, listing.leases, f"leases of {store.where}"), kernel.host_address_texts
        )
        outcome = reconcile(host, request, plain_runner(), check, lock=contextlib.nullcontext())
    outcome.warnings += [f"{problem.message}; {problem.remedy}" for problem in listing.problems]
    return outcome


def open_store(settings: Mapping[str, Any]) -> EtcdStore | NodeReader:
    """Return the store to read; etcd is not asked yet. Raises PodnetError for settings that cannot be used."""
    if settings["store"] != "kubernetes":
        return EtcdStore(EtcdClient(options.from_params(settings)))
    reader = asked(lambda: PlainReader(settings["kubeconfig"], kubernetes_options.timeout(settings)))
    given = None if settings["kube_config_map"] else settings["network_config"]
    return NodeReader(reader, kubernetes_options.settings({**settings, "network_config": given}))


def refuse_config(stored: NetworkConfig, known: Mapping[str, Any], *, ranges: bool = True) -> None:
    """Raise ConflictError when the network config is not C(known), that of the last run: a person decides on that.

    C(ranges) says that subnets are handed out by it, which a cluster does by rules of its own.
    """
    found = configs.differences(stored, network_config.parse(known, check_ranges=ranges), handed_out=ranges)
    if found:
        raise ConflictError(
            f"the network config has changed since podnet.cni.overlay ran here ({'; '.join(found)}): {UNTOUCHED}; "
            "run it again"
        )


def refuse_leases(listing: Listing, own: Mapping[str, Any], where: str) -> None:
    """Raise ConflictError for leases that do not tell for sure who the peers of the node with the lease C(own) are."""
    if not listing.entries:
        raise ConflictError(f"{where} holds no lease: {UNTOUCHED}; restore the leases, or run podnet.cni.overlay again")
    if listing.blocked:
        raise ConflictError(
            f"the lease {', '.join(entry.key for entry in listing.blocked)} cannot be read, and whose it is may be a "
            f"peer: {UNTOUCHED}; correct or delete it"
        )
    subnets, public_ips = ("subnet", "ipv6_subnet"), ("public_ip", "public_ipv6")
    mine = next((one for one in listing.leases if _same(one, own, subnets)), None)
    what = own["subnet"] or own["ipv6_subnet"]
    if mine is None:
        raise ConflictError(
            f"{where} has no lease for {what}, which is this node's subnet: {UNTOUCHED}; run podnet.cni.overlay again"
        )
    if not _same(mine, own, public_ips):
        raise ConflictError(
            f"the lease of {what}, this node's subnet, is that of {mine.public_ip or mine.public_ipv6} now: "
            f"{UNTOUCHED}; run podnet.cni.overlay again"
        )


def _same(lease: Lease, own: Mapping[str, Any], names: Sequence[str]) -> bool:
    return all(str(getattr(lease, name) or "") == (own[name] or "") for name in names)


def report(outcome: Outcome, check: bool, log: Log) -> None:
    """Log what was done and the difference. A run without one says little, and at a level that the unit leaves out."""
    changed = bool(outcome.actions)
    for warning in outcome.warnings:
        log(_WARNING if changed else _INFO, f"warning: {warning}")
    for action in outcome.actions:
        log(_NOTICE, f"would {action}" if check else action)
    for sign, lines in (("-", outcome.before), ("+", outcome.after)):
        for line in lines:
            log(_NOTICE, f"{sign} {line}")
    if not changed:
        log(_INFO, f"{outcome.facts['peers']} peers are as their leases say")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
