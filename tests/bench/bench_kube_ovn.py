# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What inherited annotations cost: pods per second on a real API server, and the admission server alone under load.

Run: python tests/bench/bench_kube_ovn.py [--pods 600] [--seconds 10] [--rates 50,200,500,1000]
with the collection on PYTHONPATH as ansible_collections.podnet.cni. It starts an API server and admission servers of
its own on the loopback address. Everything shares the machine's cores, the load generator too.

The load is open: a review is due at a fixed time whatever became of the one before, and its latency counts from then,
so that a server that stalls cannot hide it. Connections are open before the load begins.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config, policy
from ansible_collections.podnet.cni.tests.integration import _kube
from ansible_collections.podnet.cni.tests.integration.kube_ovn._balancer import Balancer
from ansible_collections.podnet.cni.tests.integration.kube_ovn._cluster import (
    GATEWAY,
    ROUTES,
    SECURITY,
    apply,
    namespace,
    pod,
    remove,
    until,
)
from ansible_collections.podnet.cni.tests.integration.kube_ovn._webhook import Server, configuration, registered

CONFIG = config.parse({"annotations": ["routes", "port_security"]})
NAMESPACE = "bench"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CREATORS = 8
CONNECTIONS = (25, 100)


def percentile(values: list[float], share: float) -> float:
    """A value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Seconds of CPU that a process has used: what it costs, however busy the machine is (proc(5), utime and stime)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def create_pods(kube: _kube.KubeServer, count: int, inherits: bool) -> tuple[float, list[float]]:
    """Create pods over a few connections; gives pods per second and each one's seconds."""
    with KubeClient.from_options({"kubeconfig": str(kube.admin)}) as client, ThreadPoolExecutor(CREATORS) as pool:

        def one(number: int) -> float:
            start = time.perf_counter()
            made = client.create(PODS, pod(f"pod-{number}"))
            seconds = time.perf_counter() - start
            if (ROUTES in (made["metadata"].get("annotations") or {})) != inherits:
                raise RuntimeError(f"pod {number}: inherits {not inherits}, wanted {inherits}")
            return seconds

        start = time.perf_counter()
        times = list(pool.map(one, range(count)))
        rate = count / (time.perf_counter() - start)
    kube.api("DELETE", f"{PODS}?gracePeriodSeconds=0")
    return rate, times


def inherits(kube: _kube.KubeServer) -> bool:
    """Whether a pod would get its annotations now."""
    made = kube.api("POST", f"{PODS}?dryRun=All", pod("probe"))
    return ROUTES in (made["metadata"].get("annotations") or {})


def settled(kube: _kube.KubeServer, wanted: bool) -> None:
    """Wait until the API server does what was configured."""
    until(lambda: inherits(kube) == wanted, f"inheritance: {wanted}")


def bench_pods(kube: _kube.KubeServer, count: int, directory: Path) -> None:
    """Pod creation with no inheritance, by policy, and by webhook with one and two replicas."""
    kube.apply(namespace(NAMESPACE, {ROUTES: GATEWAY, SECURITY: "true"}))
    print(f"\n{count} pods over {CREATORS} connections")
    print(f"{'engine':<22}{'pods/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'API server, CPU ms/pod':>24}")
    create_pods(kube, count // 4, False)

    def row(name: str, wanted: bool) -> None:
        settled(kube, wanted)
        apiserver = kube._processes["kube-apiserver"]
        before = cpu(apiserver)
        rate, times = create_pods(kube, count, wanted)
        used = (cpu(apiserver) - before) / count * 1e3
        p50, p99 = (percentile(times, share) * 1e3 for share in (0.5, 0.99))
        print(f"{name:<22}{rate:>8.0f}{p50:>9.1f}{p99:>9.1f}{used:>24.2f}", flush=True)

    row("none", False)
    objects = policy.mutating_policy(CONFIG, "bench", "v1", "Fail")
    for item in objects:
        apply(kube, item)
    row("policy", True)
    remove(kube, objects)
    for replicas in (1, 2):
        with ExitStack() as stack:
            settled(kube, False)
            servers = [Server(kube, directory / f"pods-{replicas}", CONFIG.to_dict())]
            stack.callback(stop, servers)
            pair = ("--certificate", str(servers[0].certificate), "--key", str(servers[0].key))
            if replicas > 1:
                servers.append(Server(kube, directory / "pods-second", CONFIG.to_dict(), *pair))
            balancer = stack.enter_context(Balancer([server.port for server in servers]))
            url = f"https://localhost:{balancer.port}"
            stack.enter_context(registered(kube, configuration("bench", url, servers[0].bundle, namespaces=False)))
            row(f"webhook, {replicas} replica{'s' if replicas > 1 else ''}", True)
    settled(kube, False)
    row("none again", False)


def review() -> bytes:
    """A request of about 6 KB, as the API server sends it for a pod with two containers."""
    item = pod("any", {"example.org/note": "x" * 1500}, {"app": "web"})
    item["metadata"]["generateName"] = "web-6c9-"
    item["spec"]["containers"] = [
        {
            "name": f"c{index}",
            "image": "example.org/main:1",
            "env": [{"name": f"V{n}", "value": "v" * 20} for n in range(40)],
        }
        for index in range(2)
    ]
    request = {
        "uid": "8f6d2c0e-0000-4000-8000-000000000001",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "namespace": NAMESPACE,
        "operation": "CREATE",
        "object": item,
    }
    text = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()
    return b"POST /mutate-pods?timeout=3s HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % len(text) + text


class Load:
    """Connections, open before the load begins, that take due reviews in turn."""

    def __init__(self, server: Server, connections: int, port: int = 0) -> None:
        self.server = server
        self.port = port or server.port
        self.connections = connections
        self.context = ssl.create_default_context(cadata=server.bundle)
        self.times: list[float] = []
        self.errors = 0
        self._queue: asyncio.Queue[float] = asyncio.Queue()
        self._text = review()
        self._renew: set[int] = set()

    async def run(self, rate: int, seconds: float, half_way: Callable[[], None]) -> None:
        """Offer reviews at a rate; call C(half_way) in a thread in the middle, then renew each connection in turn."""
        streams = [await self._connect() for _each in range(self.connections)]
        workers = [asyncio.create_task(self._work(index, each)) for index, each in enumerate(streams)]
        start = time.perf_counter()
        middle = None
        for number in range(int(rate * seconds)):
            due = start + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self._queue.put_nowait(due)
            if middle is None and number >= rate * seconds / 2:
                middle = asyncio.create_task(self._middle(half_way, seconds / 4))
        await self._queue.join()
        if middle is not None:
            await middle
        for worker in workers:
            worker.cancel()

    async def _middle(self, half_way: Callable[[], None], seconds: float) -> None:
        await asyncio.get_running_loop().run_in_executor(None, half_way)
        for index in range(self.connections):
            self._renew.add(index)
            await asyncio.sleep(seconds / self.connections)

    async def _connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self.context, server_hostname="localhost")

    async def _work(self, index: int, streams: Streams | None) -> None:
        while True:
            due = await self._queue.get()
            # A kept-alive connection may be closed just now; like Go's client, try once more on a new one.
            for last in (False, True):
                try:
                    if streams is None or index in self._renew:
                        self._renew.discard(index)
                        if streams is not None:
                            streams[1].close()
                        streams = await self._connect()
                    keep = await self._exchange(*streams)
                    if not keep:
                        streams[1].close()
                        streams = None
                    break
                except (OSError, EOFError):
                    streams = None
                    self.errors += last
            self.times.append(time.perf_counter() - due)
            self._queue.task_done()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(self._text)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        body = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        if not head.startswith(b"http/1.1 200") or b'"patch"' not in body:
            self.errors += 1
        return b"connection: close" not in head


def exchange(server: Server) -> None:
    """Put a new certificate in place of the old one."""
    certificate, key = server.authority.server("next")
    os.replace(key, server.key)
    os.replace(certificate, server.certificate)


def reloaded(server: Server, before: float) -> bool:
    """Whether a new certificate is served."""
    return server.metric("certificate_reloads") > before


def measure(title: str, load: Load, rate: int, seconds: float, half_way: Callable[[], None]) -> int:
    """Run a load and print its line; the CPU is that of the server, when there is one for the whole time.

    Gives the number of reviews that failed.
    """
    before = cpu(load.server.process)
    asyncio.run(load.run(rate, seconds, half_way))
    used = "-"
    if load.server.process.poll() is None:
        used = f"{(cpu(load.server.process) - before) / len(load.times) * 1e3:.2f}"
    p50, p99, worst = (percentile(load.times, share) * 1e3 for share in (0.5, 0.99, 1.0))
    line = f"{title:<12}{rate:>9}{load.connections:>13}{p50:>9.1f}{p99:>9.1f}{worst:>9.1f}{load.errors:>8}{used:>15}"
    print(line, flush=True)
    return load.errors


def bench_server(kube: _kube.KubeServer, rates: list[int], seconds: float, directory: Path) -> int:
    """The admission server without an API server before it: a certificate exchanged, and a rolling update.

    Gives the number of reviews that failed.
    """
    errors = 0
    print(f"\nadmission server alone, {seconds:g} s each; half way the certificate is exchanged or all replicas are")
    columns = f"{'half way':<12}{'reviews/s':>9}{'connections':>13}{'p50 ms':>9}{'p99 ms':>9}{'max ms':>9}{'errors':>8}"
    print(f"{columns}{'CPU ms/review':>15}")
    with ExitStack() as stack:
        server = Server(kube, directory / "alone", CONFIG.to_dict())
        stack.callback(server.stop)
        for connections in CONNECTIONS:
            for rate in rates:
                before = server.metric("certificate_reloads")
                load = Load(server, connections)
                errors += measure("certificate", load, rate, seconds, functools.partial(exchange, server))
                until(functools.partial(reloaded, server, before), "the reload")
    for connections in CONNECTIONS:
        for rate in rates:
            place = directory / f"rolling-{connections}-{rate}"
            errors += rolling(kube, rate, connections, seconds, place)
    return errors


def rolling(kube: _kube.KubeServer, rate: int, connections: int, seconds: float, directory: Path) -> int:
    """Two replicas behind a balancer; half way each is replaced by a new one, the new one first.

    Gives the number of reviews that failed.
    """
    directory.mkdir()
    with ExitStack() as stack:
        servers = [Server(kube, directory / "first", CONFIG.to_dict())]
        stack.callback(stop, servers)
        pair = ("--certificate", str(servers[0].certificate), "--key", str(servers[0].key))
        servers.append(Server(kube, directory / "second", CONFIG.to_dict(), *pair))
        balancer = stack.enter_context(Balancer([server.port for server in servers]))

        def replace() -> None:
            for name in ("third", "fourth"):
                servers.append(Server(kube, directory / name, CONFIG.to_dict(), *pair))
                old = servers[len(servers) - 3]
                balancer.use([server.port for server in servers[-2:]])
                old.stop()

        load = Load(servers[0], connections, balancer.port)
        return measure("replicas", load, rate, seconds, replace)


def stop(servers: list[Server]) -> None:
    """End what still runs."""
    for server in servers:
        server.stop()


def main() -> int:
    """Run both parts; a review that failed makes the exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=600)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rates", default="50,200,500,1000")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the beginning, Python {sys.version.split()[0]}")
    with tempfile.TemporaryDirectory() as place, _kube.running() as kube:
        bench_pods(kube, options.pods, Path(place))
        errors = bench_server(kube, [int(rate) for rate in options.rates.split(",")], options.seconds, Path(place))
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
    if errors:
        print(f"{errors} reviews failed: none may.", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
