# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What brings the overlay back after a reboot, as files that a shell script replays.

Private to podnet.cni: may change in any release.

The files are batches of iproute2 and nft, so a node with thousands of peers is back after three commands and needs no
Python. Their reader, restore.sh, lies beside them. Keys of wireguard are in none of them: the private key stays in its
own file, and a preshared key gets a file of mode 0400 beside it.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import socket
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import (
    NO_FORMER,
    Address,
    DataPlane,
    Former,
    WireguardPeer,
    address_text,
    fdb_text,
    link_text,
    neighbour_text,
    route_text,
    to_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.restore.script import SCRIPT
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, MissingError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import atomic_file
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run

SCRIPT_FILE = "restore.sh"
IP_BATCH = "ip.batch"
SETTINGS = "restore.conf"
_FILES = ("links", IP_BATCH, "bridge.batch", "firewall.nft", "subnet.env", SCRIPT_FILE, SETTINGS)
_PEERS = "peers."
LINES_SHOWN = 20


@dataclass(frozen=True)
class Restore:
    """The wanted files, by name, and the secret one, by path. No files: nothing is to be restored."""

    files: Mapping[str, str]
    secret_path: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        return f"Restore(files={list(self.files)}, secret_path={self.secret_path!r})"


NOTHING = Restore(files={})


@dataclass(frozen=True)
class Observed:
    """Our files in the directory, None for each that is not there; the secret file; one of an earlier run."""

    files: Mapping[str, str | None]
    secret: str | None = field(default=None, repr=False)
    old_secret_path: str = ""


@dataclass(frozen=True)
class RestorePlan:
    """File names to write and to remove, and what happens to secret files, with the sentences that say so.

    C(changes) are (path, before, after) of each file, in words; C(lines) those with the lines that go and that come.
    """

    write: tuple[str, ...]
    remove: tuple[str, ...]
    write_secret: bool
    remove_secret: str
    actions: tuple[str, ...]
    changes: tuple[tuple[str, str, str], ...]
    lines: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actions)


def check_programs(run: Run, host: str, kind: str, directory: str) -> None:
    """Raise MissingError when a boot would lack a program that links of this C(kind) need.

    Programming the kernel takes none, so nothing else would notice before the reboot. C(directory) is restore_dir.
    """
    if not directory:
        return
    for program in ("ip", "bridge") if kind == "vxlan" else ("ip",):
        try:
            _code, out, err = run([program, "-V"], None)
        except FileNotFoundError as error:
            raise MissingError(_no_iproute(host, directory, f"the program {program} is missing")) from error
        if "BusyBox" in out + err:
            raise MissingError(_no_iproute(host, directory, f"the program {program} is that of busybox"))
    if kind != "wireguard":
        return
    try:
        run(["wg", "--version"], None)
    except FileNotFoundError as error:
        raise MissingError(
            f"host {host}: the program wg is missing, and without it {directory} cannot bring wireguard back at boot; "
            "install the package wireguard-tools, or leave restore_dir empty"
        ) from error


def _no_iproute(host: str, directory: str, why: str) -> str:
    return (
        f"host {host}: {why}, and without that of iproute2 {directory} cannot bring the overlay back at boot; install "
        "the package iproute2, or leave restore_dir empty"
    )


def former(directory: str, plane: DataPlane) -> Former:
    """Return what the files in the directory put into the kernel, apart from what the data plane wants, too.

    The files are those of the last run: of another network, family or backend, perhaps. Lines that nobody can read are
    nobody's.
    """
    old = (atomic_file.observe(os.path.join(directory, IP_BATCH)).text if directory else None) or ""
    new = ip_batch(plane)
    if old == new:
        return NO_FORMER
    links, addresses, routes, neighbours = set(), set(), set(), set()
    for line in set(old.splitlines()) - set(new.splitlines()):
        words = line.split()
        with contextlib.suppress(ValueError, IndexError, KeyError, OSError):
            options = dict(zip(words[3::2], words[4::2]))
            if words[:3] == ["link", "set", "dev"]:
                links.add(words[3])
            elif words[:2] == ["address", "replace"]:
                addresses.add(Address(options["dev"], *_prefix(words[2])))
            elif words[:2] == ["neigh", "replace"]:
                neighbours.add((options["dev"], _packed(words[2])))
            elif words[:2] == ["route", "replace"]:
                gateway = _packed(options["via"]) if "via" in options else b""
                routes.add((*_prefix(words[2]), gateway, options["dev"]))
    links -= {link.name for link in plane.links}
    return Former(frozenset(links), frozenset(addresses), frozenset(routes), frozenset(neighbours))


def _prefix(text: str) -> tuple[bytes, int]:
    address, _slash, length = text.partition("/")
    return _packed(address), int(length)


def _packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def desired(
    plane: DataPlane,
    *,
    firewall: str = "",
    subnet_env: str = "",
    subnet_file: str = "",
    wireguard_key_file: str = "",
) -> Restore:
    """Return the files for one node; pure.

    C(firewall) is an nft script that puts our tables in place (FirewallPlan.ruleset), empty for none. C(subnet_env) is
    the text of the subnet file and C(subnet_file) its path, empty for none. C(wireguard_key_file) is the path of the
    private key, needed when the data plane has wireguard links; it must outlive a reboot.
    """
    own = [link.name for link in plane.links]
    wireguard = [link for link in plane.links if link.kind == "wireguard"]
    underlays = {link.underlay for link in plane.links} | {route.link for route in plane.routes}
    secret_path = secret = ""
    if wireguard:
        _check_durable(wireguard_key_file)
        if plane.preshared_key is not None:
            secret_path = f"{wireguard_key_file}.psk"
            secret = base64.b64encode(plane.preshared_key).decode("ascii")
    files = {
        "links": _lines(link_text(link) for link in plane.links),
        IP_BATCH: ip_batch(plane),
        "bridge.batch": _lines(f"fdb replace {fdb_text(entry)}" for entry in plane.fdb),
        "firewall.nft": firewall,
    }
    for link in wireguard:
        peers = [peer for peer in plane.wireguard_peers if peer.link == link.name]
        files[_PEERS + link.name] = _wireguard_text(link.port, peers)
    files["subnet.env"] = subnet_env if subnet_file else ""
    files[SCRIPT_FILE] = SCRIPT
    settings = {
        "underlays": " ".join(sorted(underlays - {"", *own})),
        "subnet_file": subnet_file,
        "wireguard_key_file": wireguard_key_file if wireguard else "",
        "preshared_key_file": secret_path,
    }
    # The script refuses to start without this file, so it comes last.
    files[SETTINGS] = _lines(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    return Restore({name: text for name, text in files.items() if text}, secret_path, secret)


def observe(directory: str, secret_path: str = "") -> Observed:
    """Read our files in the directory, and the secret one at C(secret_path)."""
    secret = atomic_file.observe(secret_path).text if secret_path else None
    try:
        present = os.listdir(directory)
    except FileNotFoundError:
        return Observed({}, secret)
    except OSError as error:
        raise PodnetError(f"cannot list restore_dir {directory}: {error.strerror}") from error
    names = [*_FILES, *(name for name in present if name.startswith(_PEERS))]
    files = {name: atomic_file.observe(os.path.join(directory, name)).text for name in names}
    old = _setting(files[SETTINGS] or "", "preshared_key_file")
    return Observed(files, secret, old if old != secret_path and os.path.exists(old) else "")


def plan(want: Restore, observed: Observed, directory: str) -> RestorePlan:
    """Compare and say what is to be done; pure. Files of ours that are not wanted any more are removed."""
    write = tuple(name for name, text in want.files.items() if observed.files.get(name) != text)
    remove = tuple(name for name, text in observed.files.items() if text is not None and name not in want.files)
    write_secret = bool(want.secret_path) and observed.secret != want.secret
    written = [(want.secret_path, observed.secret)] if write_secret else []
    written += [(os.path.join(directory, name), observed.files.get(name)) for name in write]
    removed = [os.path.join(directory, name) for name in remove]
    if observed.old_secret_path:
        removed.append(observed.old_secret_path)
    actions = [f"write {path}" for path, _old in written] + [f"remove {path}" for path in removed]
    changes = [(path, "absent" if old is None else "present, outdated", "present") for path, old in written]
    changes += [(path, "present", "absent") for path in removed]
    lines = tuple(
        (os.path.join(directory, name), *_differing(old, want.files[name]))
        for name, old in ((name, observed.files.get(name)) for name in write)
        if old is not None and name != SCRIPT_FILE
    )
    return RestorePlan(write, remove, write_secret, observed.old_secret_path, tuple(actions), tuple(changes), lines)


def _differing(old: str, new: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines that go and those that come, the first of many."""
    before, after = old.splitlines(), new.splitlines()
    gone, come = set(before) - set(after), set(after) - set(before)
    return _some([line for line in before if line in gone]), _some([line for line in after if line in come])


def _some(lines: Sequence[str]) -> tuple[str, ...]:
    more = len(lines) - LINES_SHOWN
    return (*lines[:LINES_SHOWN], *([f"... and {more} more lines"] if more > 0 else []))


def apply(want: Restore, restore_plan: RestorePlan, directory: str) -> None:
    """Carry the plan out. An empty directory is removed."""
    if restore_plan.write_secret:
        atomic_file.write(want.secret_path, want.secret, mode=0o400)
    if restore_plan.remove_secret:
        atomic_file.remove(restore_plan.remove_secret)
    for name in restore_plan.write:
        atomic_file.write(os.path.join(directory, name), want.files[name])
    for name in restore_plan.remove:
        atomic_file.remove(os.path.join(directory, name))
    if restore_plan.remove and not os.listdir(directory):
        os.rmdir(directory)


def _setting(text: str, name: str) -> str:
    """Return one of the shell assignments of the settings file, empty when it is not there."""
    for line in text.splitlines():
        key, _equals, value = line.partition("=")
        if key == name:
            return "".join(shlex.split(value))
    return ""


def _check_durable(path: str) -> None:
    if not path:
        raise InputError("wireguard cannot be restored at boot without a key file: give its path")
    if os.path.realpath(path).split("/")[1] in ("run", "tmp", "dev"):
        raise InputError(f"wireguard key file {path} does not outlive a reboot: choose a path outside of /run and /tmp")


def ip_batch(plane: DataPlane) -> str:
    """Return the batch for ip that makes addresses, neighbours and routes of the data plane."""
    lines = [f"link set dev {link.name} up" for link in plane.links]
    lines += [f"address replace {address_text(address)}" for address in plane.addresses]
    lines += [f"neigh replace {neighbour_text(neighbour)}" for neighbour in plane.neighbours]
    lines += [f"route replace {route_text(route)}" for route in plane.routes]
    return _lines(lines)


def _wireguard_text(port: int, peers: Sequence[WireguardPeer]) -> str:
    lines = ["[Interface]", f"ListenPort = {port}"]
    for peer in peers:
        lines += ["[Peer]", f"PublicKey = {base64.b64encode(peer.public_key).decode('ascii')}"]
        if peer.endpoint:
            host = to_text(peer.endpoint)
            lines.append(f"Endpoint = {f'[{host}]' if ':' in host else host}:{peer.port}")
        allowed = ", ".join(f"{to_text(prefix.address)}/{prefix.length}" for prefix in peer.allowed_ips)
        lines.append(f"AllowedIPs = {allowed}")
        lines.append(f"PersistentKeepalive = {peer.keepalive or 'off'}")
    return _lines(lines)


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
