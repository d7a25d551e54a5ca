# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Measure the controller's part of the overlay playbook on many hosts: the hosts answer with what a real one answered.

Run as root: python tests/bench/bench_controller.py [--tasks] [HOSTS ...]        (default: 100 1000)

One lab host is programmed, and what its modules return on a re-run is what every simulated host returns, with names and
addresses of its own. Leases are real, in a real etcd. So the figures are those of ansible-playbook alone: tasks,
templates, forks, packing of modules, and the modules that one host runs for all.
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


def overlay(inventory: Path, etcd: _etcd.EtcdServer) -> list[str]:
    """The arguments of the playbook."""
    given = {
        "overlay_network_config": NETWORK,
        "overlay_etcd_endpoints": [etcd.url],
        "overlay_store_host": "localhost",
        "overlay_manage_services": False,
    }
    return ["-i", str(inventory), "-e", json.dumps(given)]


def record(work: Path, etcd: _etcd.EtcdServer) -> tuple[Path, list[str]]:
    """What a real host answers when nothing differs, and its name, public address and MAC address therein."""
    inventory, results = work / "lab.yml", work / "results.json"
    made = {"lab_name": f"canned{os.getpid()}", "lab_hosts": 1, "lab_etcd": False, "lab_inventory_path": str(inventory)}
    lab = ["-e", json.dumps(made)]
    playbook("lab", work, *lab)
    try:
        playbook("overlay", work, *overlay(inventory, etcd))
        _seconds, _spent, counted = playbook("overlay", work, *overlay(inventory, etcd))
    finally:
        playbook("lab", work, *lab, "-e", "lab_state=absent")
    results.write_text(json.dumps(counted["results"]))
    (key,) = etcd.ctl("get", "--prefix", f"{_etcd.PREFIX}/subnets/", "--print-value-only").splitlines()
    lease = json.loads(key)
    return results, [NAME, lease["PublicIP"], lease["BackendData"]["VtepMAC"]]


def simulated(work: Path, count: int) -> Path:
    """An inventory of hosts that answer with what was recorded."""
    hosts = {}
    for number in range(count):
        high, low = divmod(number, 250)
        words = [f"host{number}", f"198.19.{high}.{low + 1}", f"02:00:00:00:{high:02x}:{low + 1:02x}"]
        hosts[words[0]] = {"canned_words": ",".join(words)}
    # The lab's hosts are called node1 and so on, and no other word of a result holds that.
    variables = {"ansible_connection": "canned", "ansible_python_interpreter": sys.executable}
    inventory = work / f"{count}.json"
    inventory.write_text(json.dumps({"overlay": {"hosts": hosts, "vars": variables}}))
    return inventory


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", action="store_true", help="print each task's share, too")
    parser.add_argument("hosts", nargs="*", type=int, default=[100, 1000])
    options = parser.parse_args()
    print("hosts  run         wall s    CPU s  CPU s/host  runs/host  once    MB")
    with tempfile.TemporaryDirectory() as directory, _etcd.running() as etcd:
        work = Path(directory)
        results, words = record(work, etcd)
        canned = {
            "ANSIBLE_CONNECTION_PLUGINS": str(HERE / "connection_plugins"),
            "CANNED_RESULTS": str(results),
            "CANNED_WORDS": ",".join(words),
        }
        for hosts in options.hosts:
            etcd.ctl("del", "--prefix", _etcd.PREFIX)
            for run in ("first run", "re-run"):
                arguments = overlay(simulated(work, hosts), etcd)
                seconds, spent, counted = playbook("overlay", work, *arguments, **canned)
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
