# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What takes the place of k3s and systemd on a lab host: C(systemctl), C(journalctl), and a service.

The service reads k3s's real files by k3s's rules, makes net-conf.json and the conflist, runs a real flanneld with them,
ends when flanneld ends, and writes node-args to its Node. An agent takes the backend from its server. It stands for
k3s where flannel is concerned and for nothing else. Run as a program; it imports PyYAML alone.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

RUN = Path("/run/standin")
SERVER = (
    "cluster-cidr",
    "flannel-backend",
    "flannel-external-ip",
    "disable-network-policy",
)
NODE = ("flannel-iface", "flannel-conf", "node-ip", "node-external-ip", "node-name", "token")
COMPILED = ("vxlan", "host-gw", "wireguard")
SUBNET_FILE = Path("/run/flannel/subnet.env")


def settings() -> dict[str, Any]:
    """What the test has left for the stand-in."""
    return dict(json.loads(Path("/opt/standin/settings.json").read_text(encoding="utf-8")))


def effective(command: str) -> tuple[list[str], dict[str, str]]:
    """The arguments that k3s makes of its files, and their last values (k3s pkg/configfilearg/parser.go)."""
    main = Path("/etc/rancher/k3s/config.yaml")
    folder = Path(f"{main}.d")
    parts = sorted(folder.iterdir(), key=lambda path: path.name.encode()) if folder.is_dir() else []
    values: dict[str, list[Any]] = {}
    for path in [main, *parts]:
        if path != main and (path.is_dir() or path.suffix.lower() not in (".yaml", ".yml")):
            continue
        if not path.exists():
            continue
        for key, value in (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).items():
            given = value if isinstance(value, list) else [value]
            if key.endswith("+"):
                values[key[:-1]] = [*values.get(key[:-1], []), *given]
            else:
                values[key] = given
    words = []
    known = (*SERVER, *NODE) if command == "server" else NODE
    for key, given in values.items():
        if key not in known:
            print(f"Unknown flag --{key} found in config.yaml, skipping", flush=True)
            continue
        for value in given:
            text = "true" if value is True else "false" if value is False else str(value)
            words.append(f"--{key}={text}")
    unit = "k3s" if command == "server" else "k3s-agent"
    for line in Path(f"/etc/systemd/system/{unit}.service").read_text(encoding="utf-8").splitlines():
        if line.startswith("ExecStart="):
            words += line.split()[2:]
    return words, dict(word.lstrip("-").partition("=")[::2] for word in words)


def ask(method: str, path: str, body: Any) -> None:
    """A request to the API server as its administrator."""
    found = settings()
    context = ssl.create_default_context(cafile=found["ca"])
    context.load_cert_chain(found["certificate"], found["key"])
    host, _colon, port = str(found["url"]).rpartition("/")[2].partition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=context)
    headers = {"Content-Type": "application/merge-patch+json"}
    connection.request(method, path, json.dumps(body), headers)
    reply = connection.getresponse()
    connection.close()
    if reply.status >= 400:
        raise OSError(f"{method} {path}: {reply.status}")


def service(command: str) -> int:
    """k3s server or k3s agent, as far as flannel is concerned; it ends when flannel ends."""
    found = settings()
    words, flags = effective(command)
    shared = Path(found["shared"])
    if command == "server":
        if "wait" in found:
            time.sleep(float(found["wait"]))
        shared.write_text(json.dumps({key: flags[key] for key in SERVER if key in flags}), encoding="utf-8")
    control = json.loads(shared.read_text(encoding="utf-8"))
    link = flags.get("flannel-iface", "")
    if link and not Path(f"/sys/class/net/{link}").exists():
        print(f"level=fatal msg=unable to find interface {link}", flush=True)
        return 1
    data = Path("/var/lib/rancher/k3s")
    conf = Path(flags.get("flannel-conf") or data / "agent/etc/flannel/net-conf.json")
    if not flags.get("flannel-conf"):
        kind = control.get("flannel-backend", "vxlan").replace("wireguard-native", "wireguard")
        if kind not in COMPILED:
            print(f"level=fatal msg=unknown backend {kind}", flush=True)
            return 1
        made = {"Network": control.get("cluster-cidr", "10.42.0.0/16"), "EnableIPv4": True, "Backend": {"Type": kind}}
        conf.parent.mkdir(parents=True, exist_ok=True)
        conf.write_text(json.dumps(made), encoding="utf-8")
    conflist = data / "agent/etc/cni/net.d/10-flannel.conflist"
    conflist.parent.mkdir(parents=True, exist_ok=True)
    delegate = {"hairpinMode": True, "forceAddress": True, "isDefaultGateway": True}
    conflist.write_text(
        json.dumps({"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel", "delegate": delegate}]}),
        encoding="utf-8",
    )
    plugins = data / "data/cni"
    plugins.mkdir(parents=True, exist_ok=True)
    for program in found["plugins"]:
        target = plugins / Path(program).name
        if not target.exists():
            target.symlink_to(program)
    name = os.uname().nodename
    args = [part for word in [command, *words] for part in word.partition("=")[::2] if part]
    ask("PATCH", f"/api/v1/nodes/{name}", {"metadata": {"annotations": {"k3s.io/node-args": json.dumps(args)}}})
    started = time.time()
    flanneld = [
        found["flanneld"],
        "--kube-subnet-mgr",
        f"--kubeconfig-file={found['kubeconfig']}",
        f"--net-config-path={conf}",
        "--iptables-forward-rules=false",
        *([f"--iface={link}"] if link else []),
    ]
    with subprocess.Popen(flanneld, env={**os.environ, "NODE_NAME": name}) as process:
        while process.poll() is None:
            if SUBNET_FILE.exists() and SUBNET_FILE.stat().st_mtime >= started:
                (RUN / "ready").touch()
            time.sleep(0.1)
    print("level=fatal msg=flannel exited", flush=True)
    return 1


def supervise(unit: str) -> None:
    """What systemd does with Restart=always."""
    tries = 0
    command = "agent" if unit == "k3s-agent" else "server"
    while True:
        (RUN / "tries").write_text(str(tries), encoding="utf-8")
        subprocess.run([sys.executable, __file__, "service", command], check=False)
        (RUN / "ready").unlink(missing_ok=True)
        tries += 1
        time.sleep(0.3)


def group() -> int:
    """The process group of the service, 0 for none."""
    try:
        number = int((RUN / "group").read_text(encoding="utf-8"))
        os.killpg(number, 0)
    except (OSError, ValueError):
        return 0
    return number


def stop() -> None:
    """End the service."""
    number = group()
    if number:
        os.killpg(number, signal.SIGTERM)
        while group():
            time.sleep(0.05)
    (RUN / "ready").unlink(missing_ok=True)


def start(unit: str) -> None:
    """Start the service in the background."""
    if group():
        return
    # As the unit's ExecStartPre does.
    subprocess.run(["sh", "-c", "modprobe br_netfilter"], capture_output=True, check=False)
    with (RUN / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "supervise", unit],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    (RUN / "group").write_text(str(process.pid), encoding="utf-8")


def systemctl(words: list[str]) -> int:
    """The verbs that are used: stop, start, restart, show."""
    words = [word for word in words if word != "--no-block"]
    verb, unit = words[0], words[1]
    RUN.mkdir(exist_ok=True)
    if verb in ("stop", "restart"):
        # So often the service may be stopped; then somebody has taken the right away.
        left = settings().get("stops", 1000) - len(list(RUN.glob("stopped-*")))
        if left <= 0:
            print(f"Failed to stop {unit}.service: Access denied", file=sys.stderr)
            return 4
        if "stops" in settings():
            (RUN / f"stopped-{left}").touch()
        stop()
    if verb in ("start", "restart"):
        start(unit)
    if verb == "show":
        tries = (RUN / "tries").read_text(encoding="utf-8") if (RUN / "tries").exists() else "0"
        state = "active" if (RUN / "ready").exists() else "activating" if group() else "inactive"
        print(f"ActiveState={state}\nSubState=auto-restart\nNRestarts={tries}\nResult=exit-code")
    return 0


def main(words: list[str]) -> int:
    """Run as what it is called."""
    if words[0] == "systemctl":
        return systemctl(words[1:])
    if words[0] == "journalctl":
        print("\n".join((RUN / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-30:]))
        return 0
    if words[0] == "supervise":
        supervise(words[1])
    return service(words[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
