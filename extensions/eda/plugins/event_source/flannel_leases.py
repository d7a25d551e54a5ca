# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Event source of Event-Driven Ansible: every change of the leases of a flannel network."""

from __future__ import annotations

import asyncio
import concurrent.futures
import importlib
import sys
import threading
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
---
short_description: Every change of the leases of a flannel network
description:
  - Starts with one event of type V(snapshot) that holds all leases. Then follow events of the types V(added),
    V(updated) and V(removed), each with one lease.
  - Goes on by itself after a lost connection, a restart of the store and a compaction. No lease is missed or doubled.
    An outage is an event of type V(problem), and so is a key or Node that cannot be read. Each is told once.
  - Ends with an error when the store cannot be read at the start, or denies access.
  - Each event has C(type), C(store), C(revision), C(lease), C(leases) and C(problem). A lease has the keys that
    podnet.cni.flannel_lease_info returns. In etcd it has no C(name), since etcd does not hold it.
options:
  store:
    description: Where the leases live, V(etcd) or V(kubernetes).
    type: str
    choices: [etcd, kubernetes]
    default: etcd
  etcd_endpoints:
    description: URLs of the etcd members.
    type: list
    elements: str
    default: [http://127.0.0.1:2379]
  etcd_prefix:
    description: Key under which the network lives.
    type: str
    default: /coreos.com/network
  etcd_cafile:
    description: File with the CA certificates of etcd.
    type: path
  etcd_certfile:
    description: File with the client certificate.
    type: path
  etcd_keyfile:
    description: File with the key of the client certificate.
    type: path
  etcd_username:
    description: User of etcd's own authentication.
    type: str
  etcd_password:
    description: Password of that user.
    type: str
  etcd_timeout:
    description: Seconds to wait for one answer.
    type: float
    default: 10.0
  kubeconfig:
    description: Path of a kubeconfig. Without it the account of the pod this runs in is used, else C(~/.kube/config).
    type: path
  context:
    description: Context of the kubeconfig.
    type: str
  host:
    description: Address of the API server.
    type: str
  api_key:
    description: Bearer token.
    type: str
  username:
    description: User for HTTP basic authentication, which a proxy in front of the API server may ask for.
    type: str
  password:
    description: Password of O(username).
    type: str
  validate_certs:
    description: Whether to check the server's certificate.
    type: bool
  ca_cert:
    description: File with the CA certificate of the API server.
    type: path
  client_cert:
    description: File with a client certificate.
    type: path
  client_key:
    description: File with the key of the client certificate.
    type: path
  proxy:
    description: URL of an HTTP proxy.
    type: str
  no_proxy:
    description: Hosts that are reached without the proxy, joined by commas.
    type: str
  impersonate_user:
    description: User to act as.
    type: str
  impersonate_groups:
    description: Groups to act as.
    type: list
    elements: str
  kube_namespace:
    description: Namespace of flannel's ConfigMap.
    type: str
    default: kube-flannel
  kube_config_map:
    description:
      - ConfigMap that holds the network config, which is read at the start. It says which IP families a Node must be
        annotated for. Without it an event of type V(problem) says so, and each family that a Node has counts.
    type: str
    default: kube-flannel-cfg
  network_config:
    description: The network config by upstream's names, for clusters that have no such ConfigMap, like k3s.
    type: dict
  kube_annotation_prefix:
    description: Prefix of flanneld's Node annotations.
    type: str
    default: flannel.alpha.coreos.com
  kube_timeout:
    description: Seconds to wait for one answer.
    type: float
    default: 30.0
requirements:
  - etcd3gw for O(store=etcd), kubernetes for O(store=kubernetes), where ansible-rulebook runs
"""

EXAMPLES = r"""
- podnet.cni.flannel_leases:
    etcd_endpoints:
      - https://192.0.2.10:2379
    etcd_cafile: /etc/etcd/ca.pem
    etcd_certfile: /etc/etcd/client.pem
    etcd_keyfile: /etc/etcd/client-key.pem

- podnet.cni.flannel_leases:
    store: kubernetes
    context: east
"""

STORES = ("etcd", "kubernetes")
# Seconds between two looks at whether ansible-rulebook wants us to end.
POLL = 1.0
_KUBERNETES_OPTIONS = (
    *("kubeconfig", "context", "host", "api_key", "username", "password", "validate_certs"),
    *("ca_cert", "client_cert", "client_key", "proxy", "no_proxy", "impersonate_user", "impersonate_groups"),
    *("kube_namespace", "kube_config_map", "network_config", "kube_annotation_prefix", "kube_timeout"),
)
_PACKAGE = "ansible_collections.podnet.cni.plugins.module_utils"


async def main(queue: asyncio.Queue[Any], args: dict[str, Any]) -> None:
    """Put events into the queue until cancelled; raises what the store raises when it cannot be read."""
    _make_collection_importable()
    store = _open(args)
    name = str(args.get("store") or STORES[0])
    ended = threading.Event()
    loop = asyncio.get_running_loop()

    def follow() -> None:
        for event in store.watch(ended.is_set, poll=POLL):
            _put(loop, queue, _as_dict(name, event), ended)

    thread = loop.run_in_executor(concurrent.futures.ThreadPoolExecutor(max_workers=1), follow)
    try:
        await asyncio.shield(thread)
    finally:
        ended.set()
        if not thread.done():
            await asyncio.wait([thread], timeout=3 * POLL)


def _put(loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[Any], event: dict[str, Any], ended: Any) -> None:
    """Hand an event over and wait until it is taken: a slow consumer slows the watch down and loses nothing."""
    handed = asyncio.run_coroutine_threadsafe(queue.put(event), loop)
    while not ended.is_set():
        try:
            handed.result(POLL)
            return
        except concurrent.futures.TimeoutError:
            continue
    handed.cancel()


def _as_dict(store: str, event: Any) -> dict[str, Any]:
    to_dict = importlib.import_module(f"{_PACKAGE}._flannel.lease").to_dict
    return {
        "type": event.kind,
        "store": store,
        "revision": event.revision,
        "lease": None if event.lease is None else to_dict(event.lease),
        "leases": [to_dict(lease) for lease in event.leases],
        "problem": None if event.problem is None else dict(vars(event.problem)),
    }


def _open(args: dict[str, Any]) -> Any:
    """The store the arguments name; nothing is sent yet."""
    options = importlib.import_module(f"{_PACKAGE}._stores.options")
    input_error = importlib.import_module(f"{_PACKAGE}._errors").InputError
    # ansible-rulebook adds a queue of its own to the arguments of a source that asks for feedback.
    # A rulebook hands None on for a variable that nobody has set.
    given = {key: value for key, value in args.items() if key != "eda_feedback_queue" and value is not None}
    store = given.pop("store", None) or STORES[0]
    if store not in STORES:
        raise input_error(f"store is {store!r}; use {' or '.join(STORES)}.")
    known = tuple(options.ETCD_ARGUMENT_SPEC) if store == "etcd" else _KUBERNETES_OPTIONS
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise input_error(f"store {store} has no option {', '.join(unknown)}; it has {', '.join(known)}.")
    if store == "kubernetes":
        return importlib.import_module(f"{_PACKAGE}._stores.kubernetes").open_store(given)
    defaults = {key: spec.get("default") for key, spec in options.ETCD_ARGUMENT_SPEC.items()}
    client = importlib.import_module(f"{_PACKAGE}._stores.etcd_client")
    etcd = importlib.import_module(f"{_PACKAGE}._stores.etcd")
    return etcd.EtcdStore(client.EtcdClient(options.from_params({**defaults, **given})))


def _make_collection_importable() -> None:
    """ansible-rulebook runs this file by its path; the collection it lies in has to be found from there."""
    folder = next((each for each in Path(__file__).absolute().parents if each.name == "ansible_collections"), None)
    if folder is None:
        return
    try:
        package = importlib.import_module("ansible_collections")
    except ModuleNotFoundError:
        sys.path.insert(0, str(folder.parent))
        return
    # The package "ansible" brings an ansible_collections of its own, which would hide ours.
    if str(folder) not in package.__path__:
        package.__path__.append(str(folder))
