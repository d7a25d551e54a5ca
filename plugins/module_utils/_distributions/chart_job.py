# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the Helm controller of k3s or RKE2 has installed a chart with the values that it was given, and why not.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm, redact
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json
from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import KubeError, NotFound

NAMESPACE = "kube-system"
LINES = 20
"""So many of the last lines of a log are kept."""
CONFIG_MAPS = {"rke2-canal": "rke2-canal-config", "rke2-flannel": "kube-flannel-cfg"}


def look(client: KubeClient, question: Mapping[str, Any]) -> dict[str, Any]:
    """Look at a chart once.

    C(question) has C(name), that of the chart, C(values), which its HelmChartConfig has to have by their dotted names,
    C(expect), what flannel's network config has to say, C(former_job), the uid of the job of before, and C(evidence),
    whether events and logs are read. Returns C(problem), empty when all is there,
    C(final) where waiting does not help, C(job), the uid of the job now, and, with C(evidence), events and log lines.
    Raises KubeError.
    """
    chart = fields.text(question, "name")
    item = client.get(f"/apis/{helm.GROUP}/v1/namespaces/{NAMESPACE}/helmcharts/{chart}")
    name = fields.text(item, "status", "jobName") or f"helm-install-{chart}"
    job = _or_none(client, f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{name}")
    uid = fields.text(job, "metadata", "uid")
    problem, final = "", False
    lacking = _lacking(client, chart, fields.mapping(question, "values"))
    if lacking:
        problem = lacking
    elif job is None or uid == question.get("former_job"):
        problem = f"the Helm controller has not started a new job {name} yet"
    else:
        problem, final = judge(item, job)
    problem = problem or _config_problem(client, chart, fields.mapping(question, "expect"))
    found: dict[str, Any] = {"problem": problem, "final": final, "job": uid, "events": [], "log": []}
    if question.get("evidence") is True and job is not None:
        found["events"], found["log"] = _evidence(client, job)
    return found


def judge(chart: Mapping[str, Any], job: Mapping[str, Any]) -> tuple[str, bool]:
    """What is wrong with a chart by its job and its own conditions, and whether that is final; no I/O."""
    name = fields.text(job, "metadata", "name")
    states = {fields.text(each, "type"): each for each in fields.mappings(job, "status", "conditions")}
    for kind in ("Failed", "Complete"):
        if fields.text(states.get(kind), "status") == "True":
            said = fields.text(states[kind], "message")
            return (f"job {name} has failed: {said}", True) if kind == "Failed" else ("", False)
    for each in fields.mappings(chart, "status", "conditions"):
        if each.get("type") == "Failed" and each.get("status") == "True":
            return (
                f"the Helm controller says: {fields.text(each, 'reason')} {fields.text(each, 'message')}".strip(),
                True,
            )
    return f"job {name} has not ended", False


def _lacking(client: KubeClient, chart: str, values: Mapping[str, Any]) -> str:
    """A value that the HelmChartConfig does not have yet, as where a file of a server is applied first."""
    if not values:
        return ""
    item = _or_none(client, f"/apis/{helm.GROUP}/v1/namespaces/{NAMESPACE}/helmchartconfigs/{chart}")
    there = dict(helm.flat(helm.of_object(fields.mapping(item, "spec"), chart).values))
    for name, value in values.items():
        if there.get(name) != value:
            return f"HelmChartConfig {NAMESPACE}/{chart} has {name} {there.get(name)!r}, not {value!r}"
    return ""


def _config_problem(client: KubeClient, chart: str, expect: Mapping[str, Any]) -> str:
    if not expect:
        return ""
    name = CONFIG_MAPS.get(chart, "")
    item = _or_none(client, f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")
    text = fields.text(item, "data", "net-conf.json")
    try:
        backend = fields.mapping(go_json.load_object(text, name), "Backend") if text else {}
    except InputError as error:
        return f"ConfigMap {NAMESPACE}/{name}: {error}"
    return config_problem(f"ConfigMap {NAMESPACE}/{name}", backend, expect)


def config_problem(where: str, backend: Mapping[str, Any], expect: Mapping[str, Any]) -> str:
    """What of a network config is not as expected, empty for nothing; no I/O."""
    wanted = {"Type": expect.get("backend"), "VNI": expect.get("vni"), "MTU": expect.get("mtu")}
    for key, value in wanted.items():
        there = backend.get(key, 1 if key == "VNI" else None)
        if value and there != value:
            return f"{where} has Backend.{key} {there!r}, not {value!r}: the chart does not take the value"
    return ""


def _or_none(client: KubeClient, path: str) -> dict[str, Any] | None:
    try:
        return client.get(path)
    except NotFound:
        return None


def _evidence(client: KubeClient, job: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Events of a job and of its pods, and the last lines that these logged; what may not be read says so."""
    events: list[str] = []
    log: list[str] = []
    name = fields.text(job, "metadata", "name")
    try:
        pods = client.list(f"/api/v1/namespaces/{NAMESPACE}/pods", {"labelSelector": f"job-name={name}"}).items
        for item in (job, *pods):
            for event in causes.events(client, NAMESPACE, fields.text(item, "metadata", "uid")):
                events.append(f"{fields.text(event, 'reason')}: {fields.text(event, 'message')}")
        for pod in pods:
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{fields.text(pod, 'metadata', 'name')}/log"
            reply = client.request("GET", path, query={"tailLines": LINES}, accept="text/plain, */*")
            log += redact.yaml(str(reply.body)).splitlines()[-LINES:]
    except KubeError as error:
        log.append(f"not read: {error}")
    return events, log
