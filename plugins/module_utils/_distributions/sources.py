# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where each fact that the audit relies on can be read.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

K3S_SERVER = "https://docs.k3s.io/cli/server"
K3S_AGENT = "https://docs.k3s.io/cli/agent"
K3S_FILES = "https://docs.k3s.io/installation/configuration"
K3S_NETWORK = "https://docs.k3s.io/networking/basic-network-options"
K3S_SERVICES = "https://docs.k3s.io/networking/networking-services"
K3S_PARSER = "https://github.com/k3s-io/k3s/blob/master/pkg/configfilearg/parser.go"
K3S_BACKENDS = "https://github.com/k3s-io/k3s/blob/master/pkg/agent/flannel/flannel.go"
K3S_CONF_IGNORED = "https://github.com/k3s-io/k3s/issues/14597"
K3S_NFTABLES = "https://github.com/k3s-io/k3s/issues/12849"
K3S_FLAGS = "https://github.com/k3s-io/k3s/pull/7207"
K3S_WINDOWS = "https://github.com/k3s-io/k3s/issues/9295"
K3S_WIREGUARD = "https://github.com/k3s-io/k3s/issues/5011"
RKE2_SERVER = "https://docs.rke2.io/reference/server_config"
RKE2_NETWORK = "https://docs.rke2.io/networking/basic_network_options"
RKE2_HELM = "https://docs.rke2.io/add-ons/helm"
RKE2_PACKAGED = "https://docs.rke2.io/install/packaged_components"
RKE2_CANAL = "https://github.com/rancher/rke2-charts/tree/main-source/packages/rke2-canal"
RKE2_LEFTOVER = "https://github.com/rancher/rke2/issues/9338"
RKE2_WINDOWS = "https://github.com/rancher/rke2/blob/master/pkg/windows/flannel.go"
RANCHER_REINSTALL = "https://github.com/rancher/rancher/issues/50921"
RANCHER_WAITS = "https://github.com/rancher/rancher/issues/49246"
RANCHER_CONFIG = (
    "https://ranchermanager.docs.rancher.com/reference-guides/cluster-configuration/rancher-server-configuration/"
    "rke2-cluster-configuration"
)
FLANNEL_BRIDGE = "https://github.com/flannel-io/flannel/pull/2082"
KUBEADM = "https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/"
