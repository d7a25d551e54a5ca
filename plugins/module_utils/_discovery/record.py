# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network component record: what discovery says about one CNI plugin in one cluster.

Every key is always present; what is unknown is null or empty. Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = "1.0"

PLUGINS = (
    "flannel",
    "canal",
    "calico",
    "cilium",
    "antrea",
    "kube-ovn",
    "ovn-kubernetes",
    "openshift-sdn",
    "kube-router",
    "weave",
    "kindnet",
    "aws-vpc-cni",
    "azure-cni",
    "gke-dataplane-v2",
    "multus",
    "generic",
    "unknown",
)
# The order is the order of the answer: what carries the pods first.
ROLES = ("primary", "part", "chained", "policy", "secondary", "meta", "duplicate", "leftover")

CONFIDENCES = ("certain", "likely", "possible", "weak")
CERTAIN = 90
LIKELY = 60
POSSIBLE = 30


@dataclass(frozen=True)
class Cidr:
    """One address range and where it was read; C(cidr) is masked to its network address."""

    cidr: str
    family: int
    source: str
    confidence: str = "high"


@dataclass(frozen=True)
class Evidence:
    """The reason for a finding: a fact, the object it was read from, and its weight from 0 to 100."""

    source: str
    ref: str
    fact: str
    weight: int


@dataclass(frozen=True)
class Container:
    """A container of a workload; role is C(daemon), C(sidecar) or C(init)."""

    name: str
    image: str
    role: str


@dataclass
class Workload:
    """A DaemonSet that belongs to the component, with what its status says."""

    kind: str
    namespace: str
    name: str
    uid: str = ""
    generation: int = 0
    observed_generation: int = 0
    desired: int = 0
    current: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    update_strategy: str = ""
    max_unavailable: str | None = None
    selector: dict[str, Any] = field(default_factory=dict)
    containers: list[Container] = field(default_factory=list)

    @property
    def status_known(self) -> bool:
        """Whether the numbers are of what is asked for now: a controller has seen this generation and counted."""
        return self.observed_generation >= self.generation


@dataclass(frozen=True)
class ConfigRef:
    """An object the component takes its configuration from; C(found) tells whether it could be read."""

    kind: str
    namespace: str | None
    name: str
    key: str | None
    resource_version: str | None
    found: bool


@dataclass
class Networking:
    """Addresses and encapsulation, as configured."""

    pod_cidrs: list[Cidr] = field(default_factory=list)
    service_cidrs: list[Cidr] = field(default_factory=list)
    ip_families: list[str] = field(default_factory=list)
    encapsulation: str | None = None
    backend: dict[str, Any] | None = None
    mtu: int | None = None
    mtu_auto: bool = False
    ipam: str | None = None
    masquerade: bool | None = None
    interface_selection: dict[str, Any] | None = None
    nftables: bool | None = None


@dataclass
class Policy:
    """Who enforces NetworkPolicy objects."""

    provider: str | None = None


@dataclass
class Cni:
    """The configuration file expected on the nodes."""

    conf_name: str | None = None
    chained_plugins: list[str] = field(default_factory=list)


@dataclass
class Nodes:
    """What the Nodes say; C(total) counts all of them, the other numbers the ones that were read."""

    total: int = 0
    read: int = 0
    with_pod_cidr: int = 0
    annotated: int = 0
    ready: int = 0
    network_unavailable: int = 0
    sample: list[dict[str, Any]] = field(default_factory=list)
    inconsistencies: list[str] = field(default_factory=list)


@dataclass
class Health:
    """C(healthy), C(degraded), C(broken), C(disabled) or C(unknown), and machine-readable reasons."""

    state: str = "unknown"
    reasons: list[str] = field(default_factory=list)


@dataclass
class Record:
    """One component of one cluster."""

    plugin: str
    role: str = "primary"
    cluster: str = ""
    install_method: str = "unknown"
    distribution: str | None = None
    settings_owner: str | None = None
    version: str | None = None
    version_build: str | None = None
    version_confidence: str = "none"
    namespace: str | None = None
    workloads: list[Workload] = field(default_factory=list)
    config_refs: list[ConfigRef] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    networking: Networking = field(default_factory=Networking)
    policy: Policy = field(default_factory=Policy)
    cni: Cni = field(default_factory=Cni)
    nodes: Nodes = field(default_factory=Nodes)
    health: Health = field(default_factory=Health)
    scope: str = "cluster"
    evidence: list[Evidence] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    config_error: str | None = None
    stale_suspected: bool = False
    searched: str = "labels"
    collected_at: str = ""
    server_version: str | None = None
    api_calls: int = 0
    schema_version: str = SCHEMA_VERSION
    kind: str = "component"

    @property
    def desired(self) -> int:
        """How many nodes the workloads are meant for."""
        return sum(workload.desired for workload in self.workloads)

    @property
    def active(self) -> bool:
        """Whether something runs: pods that are wanted, or a daemon inside the distribution's own process.

        What no controller has counted yet may run; only a status that is known says that nothing is wanted.
        """
        uncounted = any(not workload.status_known for workload in self.workloads)
        return self.desired > 0 or uncounted or self.install_method == "embedded"

    def add_evidence(self, source: str, ref: str, fact: str, weight: int) -> None:
        self.evidence.append(Evidence(source, ref, fact, weight))


def confidence(evidence: list[Evidence]) -> str:
    """The strongest evidence plus ten for each further source that says the same."""
    if not evidence:
        return "weak"
    best = max(item.weight for item in evidence)
    independent = {item.source for item in evidence if item.weight > 0}
    score = best + 10 * max(0, len(independent) - 1)
    if score >= CERTAIN:
        return "certain"
    if score >= LIKELY:
        return "likely"
    return "possible" if score >= POSSIBLE else "weak"


def to_dict(record: Record) -> dict[str, Any]:
    """The record as plain data that survives JSON, with the confidence worked out.

    Where something was forbidden it is one step lower: what could not be read might have said otherwise.
    """
    data = asdict(record)
    step = CONFIDENCES.index(confidence(record.evidence)) + (record.scope == "partial")
    data["confidence"] = CONFIDENCES[min(step, len(CONFIDENCES) - 1)]
    return data


def sort_key(record: Record) -> Any:
    """By role, namespace and name, so that two runs answer in the same order."""
    name = record.workloads[0].name if record.workloads else ""
    return (ROLES.index(record.role), record.namespace or "", record.plugin, name)
