# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is kept of a cluster's answers, and what becomes of answers that do not come."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._kube.client import Listing, Response
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Forbidden,
    InvalidAuth,
    KubeError,
    NotFound,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight import cluster_facts


class Client:
    """A client whose answers are given by the start of the path; the longest one that fits counts, 404 without one."""

    def __init__(self, **answers):
        self.answers = {"/" + path.replace("__", "/"): answer for path, answer in answers.items()}
        self.requests = 0

    def get(self, path, query=None):
        self.requests += 1
        fitting = [each for each in self.answers if path.startswith(each)]
        answer = self.answers[max(fitting, key=len)] if fitting else NotFound("404", status=404)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def request(self, method, path, query=None):
        return Response(200, self.get(path), {})

    def list(self, path, query=None, limit=500, metadata_only=False):
        return Listing(self.get(path).get("items") or [], "1", "List")


def gathered(**answers):
    return cluster_facts.gather(Client(**answers), "kube-flannel", "flannel.alpha.coreos.com")


def test_a_server_that_knows_nothing():
    facts = gathered(readyz={}, version={"gitVersion": "v1.36.2"}, api__v1__nodes={}, apis={})
    assert facts["api"] == {"answers": True, "ready": True, "problem": ""}
    assert facts["version"] == "v1.36.2"
    assert facts["namespace"] == {"name": "kube-flannel", "exists": False, "labels": {}}
    assert facts["kube_proxy"] == {"found": False, "mode": ""}
    assert facts["webhooks"] == facts["policies"] == facts["nodes"] == []
    assert facts["requests"] > 0


def test_a_refused_right_is_named_and_the_rest_is_read():
    facts = gathered(readyz=Forbidden("403", status=403), api__v1__nodes=Forbidden("403", status=403), apis={})
    assert facts["api"]["ready"] is None
    assert "nodes" not in facts
    assert facts["reasons"]["nodes"].startswith("the right to list nodes is missing")
    assert "system:public-info-viewer" in facts["reasons"]["api"]
    assert facts["namespace"]["exists"] is False


def test_a_failing_answer_is_told_in_its_own_words():
    facts = gathered(
        readyz=KubeError("GET /readyz: 500", status=500, text="[-]etcd failed: x\n"), version=KubeError("odd")
    )
    assert facts["api"] == {"answers": True, "ready": False, "problem": "/readyz: etcd failed: x"}
    assert facts["reasons"]["version"] == "odd"


def test_a_server_that_is_away_is_asked_once():
    facts = gathered(readyz=Unreachable("cannot connect"))
    assert facts["requests"] == 1
    assert facts["api"] == {"answers": False, "ready": False, "problem": "cannot connect"}
    assert set(facts["reasons"]) == {"version", *cluster_facts.RIGHTS}


def test_credentials_that_cannot_be_used_are_an_error():
    with pytest.raises(InvalidAuth):
        gathered(readyz=InvalidAuth("no"))


def test_events_are_read_only_where_a_pod_cidr_is_missing():
    node = {"metadata": {"name": "a"}, "spec": {}}
    event = {"involvedObject": {"name": "a"}, "message": "full"}
    events = {"items": [event]}
    facts = gathered(readyz={}, apis={}, api__v1__nodes={"items": [node]}, api__v1__namespaces__default__events=events)
    assert facts["events"] == [{"node": "a", "message": "full"}]
    node["spec"] = {"podCIDR": "10.244.0.0/24"}
    assert "events" not in gathered(readyz={}, apis={}, api__v1__nodes={"items": [node]})


def test_flags_of_the_controller_manager():
    command = ["kube-controller-manager", "--allocate-node-cidrs", "--cluster-cidr=10.244.0.0/16", "--other=1"]
    pods = {"items": [{"spec": {"containers": [{"command": command}]}}]}
    client = Client(readyz={}, apis={})
    client.answers["/api/v1/namespaces/kube-system/pods"] = pods
    reader = cluster_facts.Reader(client, "kube-flannel", "")
    flags = {"allocate-node-cidrs": "true", "cluster-cidr": "10.244.0.0/16"}
    assert reader.read()["controller_manager"] == {"visible": True, "flags": flags}
    client.answers["/api/v1/namespaces/kube-system/pods"] = {}
    assert reader.read()["controller_manager"] == {"visible": False, "flags": {}}


def test_ports_on_the_network_of_nodes():
    def daemonset(name, **spec):
        return {"metadata": {"name": name, "namespace": "n"}, "spec": {"template": {"spec": spec}}}

    def container(**port):
        return [{"name": "c", "ports": [port]}]

    items = [
        daemonset("host", hostNetwork=True, containers=container(containerPort=8081)),
        daemonset("mapped", containers=container(containerPort=80, hostPort=9100)),
        daemonset("inside", containers=container(containerPort=8081)),
        daemonset("udp", hostNetwork=True, containers=container(containerPort=8081, protocol="UDP")),
    ]
    facts = gathered(readyz={}, apis={}, apis__apps__v1__daemonsets={"items": items})
    assert [(each["daemonset"], each["port"]) for each in facts["host_ports"]] == [("n/host", 8081), ("n/mapped", 9100)]


def test_endpoints_that_are_ready():
    slices = [
        {"endpoints": [{"addresses": ["a"], "conditions": {"ready": True}}, {"addresses": ["b"], "conditions": {}}]},
        {"endpoints": [{"addresses": ["c"], "conditions": {"ready": False}}]},
        {},
    ]
    assert cluster_facts.ready_addresses(slices) == {"a", "b"}


@pytest.mark.parametrize("junk", [{}, {"metadata": None, "spec": [], "status": 1}, {"metadata": {"annotations": []}}])
def test_strange_objects_are_borne(junk):
    assert cluster_facts.describe_node(junk, "x/")["pod_cidrs"] == []
    assert cluster_facts.describe_webhook("k", "c", junk)["failure_policy"] == "Fail"
    assert cluster_facts.describe_policy("k", junk, [junk])["bindings"][0]["actions"] == []
