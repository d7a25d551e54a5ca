# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the controller's part of a playbook on many hosts: the hosts answer with what a real one answered.

Run as root: python tests/bench/bench_controller.py [--of WHAT] [--tasks] [HOSTS ...]        (default: 100 1000)

WHAT is overlay, doctor or gate: what the role upgrade looks at after a wave. One lab host is programmed, and what its
modules return on a re-run is what every simulated host returns, with names and addresses of its own. Leases are real,
in a real etcd. So the figures are those of ansible-playbook alone: tasks, templates, forks, packing of modules, and the
modules that one host runs for all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

from bench_overlay import playbook

from ansible_collections.podnet.cni.tests.integration import _etcd

HERE = Path(__file__).resolve().parent
NETWORK = {"Network": "10.64.0.0/12", "SubnetLen": 24, "Backend": {"Type": "vxlan"}}
NAME = "node1"


BOOKS = {"overlay": "overlay", "doctor": "doctor", "gate": str(HERE / "gate.yml")}
PROBE = {"answer": "replied", "reachable": True, "protocol": "icmp", "port": None, "error": "", "largest_packet": 1450}
PROBE |= {"sent": 3, "received": 3, "loss": 0.0, "rtt_min": 0.07, "rtt_avg": 0.08, "rtt_max": 0.09}
PROBE |= {"expect": "any", "as_expected": True}


def arguments(inventory: Path, etcd: _etcd.EtcdServer) -> list[str]:
    """The arguments of each playbook."""
    given = {
        "overlay_network_config": NETWORK,
        "overlay_etcd_endpoints": [etcd.url],
        "overlay_store_host": "localhost",
        "overlay_manage_services": False,
        # What was recorded is older than the run.
        "doctor_checks_skip": ["host.clock"],
        "upgrade_cni_conf_dir": "{{ overlay_cni_conf_dir | default(omit) }}",
        "upgrade_cni_bin_dirs": "{{ overlay_cni_plugin_dirs | default(omit) }}",
    }
    return ["-i", str(inventory), "-e", json.dumps(given)]


def record(work: Path, etcd: _etcd.EtcdServer, book: str) -> tuple[Path, list[str]]:
    """What a real host answers when nothing differs, and its name, addresses, MAC address and subnet therein."""
    inventory, results = work / "lab.yml", work / "results.json"
    made = {"lab_name": f"canned{os.getpid()}", "lab_hosts": 1, "lab_etcd": False, "lab_inventory_path": str(inventory)}
    lab = ["-e", json.dumps(made)]
    playbook("lab", work, *lab)
    try:
        playbook("overlay", work, *arguments(inventory, etcd))
        _seconds, _spent, counted = playbook(book, work, *arguments(inventory, etcd))
    finally:
        playbook("lab", work, *lab, "-e", "lab_state=absent")
    results.write_text(json.dumps({**counted["results"], "canned_probe": PROBE}))
    key, value = etcd.ctl("get", "--prefix", f"{_etcd.PREFIX}/subnets/").splitlines()
    lease = json.loads(value)
    return results, [
        NAME,
        lease["PublicIP"],
        lease["BackendData"]["VtepMAC"],
        key.rpartition("/")[2].rpartition(".")[0],
    ]


def words(number: int) -> list[str]:
    """Name, address, MAC address and the start of the subnet of a simulated host."""
    high, low = divmod(number, 250)
    mac = f"02:00:00:00:{high:02x}:{low + 1:02x}"
    return [f"host{number}", f"198.19.{high}.{low + 1}", mac, f"10.{65 + high}.{low + 1}"]


def simulated(work: Path, count: int) -> Path:
    """An inventory of hosts that answer with what was recorded."""
    hosts = {}
    for number in range(count):
        name, address, *more = words(number)
        hosts[name] = {"canned_words": ",".join([name, address, *more]), "overlay_public_ip": address}
    # The lab's hosts are called node1 and so on, and no other word of a result holds that.
    variables = {"ansible_connection": "canned", "ansible_python_interpreter": sys.executable}
    inventory = work / f"{count}.json"
    inventory.write_text(json.dumps({"overlay": {"hosts": hosts, "vars": variables}}))
    return inventory


def lease_to(count: int, etcd: _etcd.EtcdServer) -> None:
    """Write the leases of the simulated hosts."""
    for number in range(count):
        _name, address, mac, subnet = words(number)
        data = {"VNI": 1, "VtepMAC": mac}
        lease = {"PublicIP": address, "PublicIPv6": None, "BackendType": "vxlan", "BackendData": data}
        etcd.ctl("put", f"{_etcd.PREFIX}/subnets/{subnet}.0-24", json.dumps(lease))


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", choices=BOOKS, default="overlay", help="what is measured")
    parser.add_argument("--tasks", action="store_true", help="print each task's share, too")
    parser.add_argument("hosts", nargs="*", type=int, default=[100, 1000])
    options = parser.parse_args()
    book = BOOKS[options.of]
    print("hosts  run         wall s    CPU s  CPU s/host  runs/host  once    MB")
    with tempfile.TemporaryDirectory() as directory, _etcd.running() as etcd:
        work = Path(directory)
        results, recorded = record(work, etcd, book)
        canned = {
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"),
            "CANNED_RESULTS": str(results),
            "CANNED_WORDS": ",".join(recorded),
        }
        for hosts in options.hosts:
            if options.of == "overlay":
                etcd.ctl("del", "--prefix", _etcd.PREFIX)
            else:
                etcd.ctl("del", "--prefix", f"{_etcd.PREFIX}/subnets/")
                lease_to(hosts, etcd)
            for run in ("first run", "re-run") if options.of == "overlay" else (options.of,):
                seconds, spent, counted = playbook(book, work, *arguments(simulated(work, hosts), etcd), **canned)
                once = counted["runs"].pop("delegated", 0)
                largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
                print(
                    f"{hosts:>5}  {run:<10}  {seconds:>7.1f}  {spent:>7.1f}  {spent / hosts:>10.3f}  "
                    f"{max(counted['runs'].values()):>9}  {once:>4}  {largest:>4}",
                    flush=True,
                )
                for task, share in counted["tasks"].items() if options.tasks else ():
                    print(f"{'':>25} {share:>9.2f}  {share / hosts:>10.3f}  {task}", flush=True)


if __name__ == "__main__":
    main()
