# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program: two sockets, the namespace cache, and by option the sync of existing pods.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import json
import signal
import sys
import threading
import time
from typing import Any, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config as configuration
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import sync_run
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import Config
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.decision import Namespace
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server import review
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.api import Api
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.cache import NamespaceCache
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.certificate import ServerCertificate
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.http import HttpServer, Limits, Reply
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.server.metrics import Metrics

MUTATE = "/mutate-pods"
VALIDATE = "/validate-namespaces"
JSON = "application/json"
LEVELS = ("debug", "info", "warning", "error")


class Logger:
    """Lines of JSON on standard output, never with contents of a pod."""

    def __init__(self, level: str) -> None:
        self._threshold = LEVELS.index(level)
        self._lock = threading.Lock()

    def __call__(self, level: str, message: str, **fields: Any) -> None:
        """Write a line when the level is high enough."""
        if LEVELS.index(level) >= self._threshold:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            with self._lock:
                sys.stdout.write(json.dumps({"time": stamp, "level": level, "message": message, **fields}) + "\n")
                sys.stdout.flush()


class Admission:
    """The request handlers and what they share."""

    def __init__(
        self, config: Config, cache: NamespaceCache, certificate: ServerCertificate | None, log: Logger
    ) -> None:
        self.config = config
        self.cache = cache
        self.certificate = certificate
        self.log = log
        self.metrics = Metrics()
        self.draining = False
        self.servers: list[HttpServer] = []

    async def review(self, method: str, path: str, body: bytes) -> Reply:
        """Answer the API server."""
        if path not in (MUTATE, VALIDATE):
            return Reply(404, b"no such path")
        if method != "POST":
            return Reply(405, b"send a review with POST")
        start = time.perf_counter()
        try:
            reply, result = await self._answer(path, body)
        except InputError as error:
            # What cannot be read is named without its contents.
            self.log("warning", "malformed review", path=path, octets=len(body), error=str(error))
            reply, result = Reply(400, str(error).encode()), "malformed"
        except KubeError as error:
            # An answer would be a guess. The API server does what the failure policy says.
            self.log("error", "namespace cannot be read", error=str(error))
            reply, result = Reply(500, b"the namespace cannot be read"), "error"
        except Exception as error:
            self.log("error", "review failed", error=type(error).__name__)
            reply, result = Reply(500, b"internal error"), "error"
        self.metrics.observe(path, result, time.perf_counter() - start)
        return reply

    async def _answer(self, path: str, body: bytes) -> tuple[Reply, str]:
        request = review.read(body)
        if path == VALIDATE and request.kind == "namespace":
            outcome = review.review_namespace(request, self.config)
        elif path == MUTATE and review.concerns_pod(request):
            namespace = self.cache.get(request.namespace)
            if namespace is None:
                self.metrics.live_reads += 1
                read = functools.partial(self.cache.fetch, request.namespace)
                namespace = await asyncio.get_event_loop().run_in_executor(None, read)
            outcome = review.review_pod(request, namespace, self.config)
        else:
            outcome = review.allow(request)
        level = "info" if outcome.result == "refused" else "debug"
        self.log(
            level, "review", uid=request.uid, namespace=request.namespace, result=outcome.result, keys=outcome.keys
        )
        text = json.dumps(outcome.answer, separators=(",", ":")).encode()
        return Reply(200, text, JSON), outcome.result

    async def status(self, method: str, path: str, _body: bytes) -> Reply:
        """Health, readiness and metrics."""
        if method != "GET":
            return Reply(405, b"use GET")
        if path == "/healthz":
            return Reply(200, b"ok")
        if path == "/readyz":
            problem = self.problem()
            return Reply(503, problem.encode()) if problem else Reply(200, b"ok")
        if path == "/metrics":
            return Reply(200, self.metrics.render(self._gauges()), "text/plain; version=0.0.4; charset=utf-8")
        return Reply(404, b"no such path")

    def problem(self) -> str:
        """Why no requests should be sent here, empty when they should."""
        if self.draining:
            return "shutting down"
        if not self.cache.synced:
            return "namespaces are not known yet"
        if self.certificate is not None and self.certificate.seconds_left() <= 0:
            return "the certificate has expired"
        return ""

    def _gauges(self) -> dict[str, float]:
        gauges: dict[str, float] = {
            "cache_age_seconds": self.cache.age(),
            "cache_synced": int(self.cache.synced),
            "namespaces": len(self.cache),
            "invalid_namespaces": len(self.cache.invalid),
            "connections": sum(server.connections for server in self.servers),
            "refused_connections": sum(server.refused_connections for server in self.servers),
            "evicted_connections": sum(server.evicted_connections for server in self.servers),
        }
        if self.certificate is not None:
            gauges["certificate_expiry_seconds"] = self.certificate.seconds_left()
            gauges["certificate_reloads"] = self.certificate.reloads
        return gauges


class Syncing:
    """The thread that keeps running pods in step."""

    def __init__(self, api: Api, config: Config, options: argparse.Namespace, log: Logger, metrics: Metrics) -> None:
        self.loop = sync_run.Loop(api, config, options.sync_rate, options.sync_interval, log)
        self._metrics = metrics
        self._log = log
        self._dirty: set[str] = set()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self.cache: NamespaceCache | None = None

    def changed(self, name: str) -> None:
        """Have a look at a namespace soon. What is known before the first list is whole is looked at anyway."""
        if self.cache is not None and self.cache.synced:
            self._dirty.add(name)
            self._wake.set()

    def start(self, cache: NamespaceCache) -> None:
        """Begin."""
        self.cache = cache
        self._thread.start()

    def stop(self) -> None:
        """End after the pod under way."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            self._wake.wait(min(5.0, max(0.1, due - time.monotonic())))
            self._wake.clear()
            if self.cache is None or not self.cache.synced:
                continue
            names = {self._dirty.pop() for _each in range(len(self._dirty))}
            if time.monotonic() >= due:
                due = time.monotonic() + self.loop.interval
                # Also those that left, as long as pods of theirs hold on to something.
                names = {each.name for each in self.cache.taking_part()} | {*self.loop.drifted, *self.loop.held}
            for name in sorted(names):
                if self._stop.is_set():
                    return
                self._visit(self.cache.get(name), name)
            self._metrics.sync_patches = self.loop.patched
            self._metrics.sync_failures = self.loop.failed
            self._metrics.drifted_pods = sum(self.loop.drifted.values())
            self._metrics.held_pods = sum(self.loop.held.values())

    def _visit(self, namespace: Namespace | None, name: str) -> None:
        if namespace is None:
            self.loop.forget(name)
            return
        try:
            self.loop.visit(namespace, self._stop.wait)
        except Exception as error:
            # One namespace that holds something unexpected must not end the sync of all others.
            self.loop.failed += 1
            self._log("error", "sync failed", namespace=name, error=type(error).__name__)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="kube-ovn-inheritance", description=__doc__)
    parser.add_argument("--config", required=True, help="file with the configuration as JSON")
    parser.add_argument("--mode", choices=("admission", "sync"), default="admission", help="what to do")
    parser.add_argument("--host", default="", help="address to listen on, all of them by default")
    parser.add_argument("--port", type=int, default=8443, help="port of the admission paths")
    parser.add_argument("--status-port", type=int, default=8080, help="port of /healthz, /readyz and /metrics")
    parser.add_argument("--certificate", default="/certificates/tls.crt", help="file with our certificate")
    parser.add_argument("--key", default="/certificates/tls.key", help="file with its key")
    parser.add_argument("--reload-interval", type=float, default=5.0, help="seconds between looks at the certificate")
    parser.add_argument("--drain", type=float, default=5.0, help="seconds to keep serving after SIGTERM")
    parser.add_argument("--api-server", help="URL of the API server, by default that of the cluster we run in")
    parser.add_argument("--ca-file", help="CA certificates of the API server")
    parser.add_argument("--token-file", help="file with a token for the API server")
    parser.add_argument("--sync-rate", type=float, default=20.0, help="pods to patch per second")
    parser.add_argument("--sync-interval", type=float, default=3600.0, help="seconds between looks at all namespaces")
    parser.add_argument("--max-connections", type=int, default=Limits.connections, help="connections at a time")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="least level that is logged")
    options = parser.parse_args(arguments)
    for name in ("sync_rate", "sync_interval", "reload_interval", "max_connections"):
        if not getattr(options, name) > 0:
            parser.error(f"--{name.replace('_', '-')} is {getattr(options, name)}: give a number above 0")
    if not options.drain >= 0:
        parser.error(f"--drain is {options.drain}: give seconds, 0 or more")
    return options


def read_config(path: str) -> Config:
    """The configuration of a file. Raises InputError."""
    try:
        with open(path, encoding="utf-8") as stream:
            return configuration.parse(json.load(stream))
    except (OSError, ValueError) as error:
        raise InputError(f"configuration {path} cannot be read: {error}") from None


async def serve(options: argparse.Namespace, log: Logger, stop: asyncio.Event) -> None:
    """Run until C(stop) is set. Raises PodnetError and OSError when it cannot begin."""
    config = read_config(options.config)
    given = (options.api_server, options.ca_file, options.token_file)

    def client() -> Api:
        return Api(*given) if options.api_server else Api.in_cluster()

    admission = options.mode == "admission"
    certificate = ServerCertificate(options.certificate, options.key) if admission else None
    cache = NamespaceCache(client(), config, log)
    app = Admission(config, cache, certificate, log)
    syncing = None
    if not admission:
        syncing = Syncing(client(), config, options, log, app.metrics)
        cache.changed = syncing.changed
    cache.start()
    limits = Limits(connections=options.max_connections)
    status = HttpServer(app.status, Limits(connections=256, body_octets=0, idle=10.0))
    app.servers = [status]
    ports = {"status": await status.start(options.host, options.status_port)}
    if certificate is not None:
        reviews = HttpServer(app.review, limits)
        app.servers.append(reviews)
        ports["admission"] = await reviews.start(options.host, options.port, certificate.context)
    if syncing is not None:
        syncing.start(cache)
    log("info", "serving", **ports)
    while not cache.synced and not stop.is_set():
        await asyncio.sleep(0.02)
    # The cache lives as long as the process: keep the collector from walking it.
    gc.collect()
    gc.freeze()
    while not stop.is_set():
        _refresh(certificate, log)
        try:
            await asyncio.wait_for(stop.wait(), options.reload_interval)
        except asyncio.TimeoutError:
            continue
    app.draining = True
    log("info", "draining")
    for server in app.servers[1:]:
        server.drain()
    if admission:
        await asyncio.sleep(options.drain)
    for server in reversed(app.servers):
        await server.stop(options.drain)
    if syncing is not None:
        syncing.stop()
    cache.stop()


def _refresh(certificate: ServerCertificate | None, log: Logger) -> None:
    if certificate is None:
        return
    before = certificate.problem
    if certificate.refresh():
        log("info", "certificate loaded", seconds_left=int(certificate.seconds_left()))
    elif certificate.problem and certificate.problem != before:
        log("error", "new certificate cannot be used; the old one is served", error=certificate.problem)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; gives its exit code."""
    options = parse_arguments(arguments)
    log = Logger(options.log_level)

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_event_loop().add_signal_handler(number, stop.set)
        await serve(options, log, stop)

    try:
        asyncio.run(run())
    except (PodnetError, OSError) as error:
        log("error", "cannot serve", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
