# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The order of the files, and which tests are left to `make test-full`.

Files that take long come first, so that no worker is left alone with one at the end.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.podnet.cni.tests.integration._kernel import DIFFERS, MARK, features_of, has

HERE = Path(__file__).parent
LONG = (
    "cluster/test_cluster.py",
    "canal/test_role.py",
    "upgrade/test_upgrade.py",
    "kube_ovn/test_role.py",
    "canal/test_migration.py",
    "flannel_role/test_cluster.py",
    "upgrade/test_gates.py",
    "flannel_role/test_faults.py",
    "upgrade/test_canal.py",
    "upgrade/test_hosts.py",
    "flannel_role/test_helm.py",
    "cluster/test_killed.py",
    "rollout/test_rollout.py",
    "kube/test_start_order.py",
    "upgrade/test_helm.py",
    "distribution/test_network_k3s.py",
    "distribution/test_network_rke2.py",
    "status/test_doctor.py",
    "dataplane/test_repair.py",
    "eda/test_flannel_leases.py",
    "rollout/test_stops.py",
    "lab/test_lab.py",
    "etcd/test_parallel.py",
    "kube_ovn/test_webhook.py",
    "kube/test_preflight_cluster.py",
    "kube/test_external_host.py",
    "kube/test_client.py",
    "network_policy/test_sidecar.py",
    "node/test_node_role.py",
    "connection/test_netns_connection.py",
    "etcd/test_watch.py",
    "kube_ovn/test_faults.py",
    "dataplane/test_kill.py",
    "lab/test_pods.py",
)
# Slow variations of what other tests show: PODNET_FULL=1 (make test-full) runs them. A name stands for all its cases.
FULL = {
    "canal/test_migration.py": ("test_to_canal_and_back_with_interruptions",),
    "canal/test_role.py": (
        "test_canal_of_another_installer_is_upgraded_where_it_is",
        "test_a_selector_that_cannot_be_kept",
        "test_an_object_that_the_server_refuses_changes_nothing",
        "test_networks_of_others_are_left_alone",
        "test_nodes_outside_of_the_range",
        "test_nodes_without_a_range_are_waited_for",
        "test_definitions_of_other_releases",
        "test_canal_twice",
    ),
    "cluster/test_canal.py": ("test_nothing_is_found_where_canal_works_and_what_is_lost_is_found_and_repaired",),
    "cluster/test_cluster.py": (
        "test_no_pod_misses_its_inheritance_while_the_ca_is_exchanged",
        "test_one_value_changed_goes_out_in_waves",
        "test_a_flag_that_flanneld_does_not_know",
        "test_an_image_that_is_not_there",
        "test_a_pod_that_starts_and_cannot_program_its_node",
        "test_a_node_that_is_not_ready_is_left_out_and_named",
        "test_without_waves_a_node_that_is_not_ready_is_named_and_not_waited_for",
        "test_a_node_comes_back_from_a_reboot",
        "test_the_api_server_restarts_in_the_middle",
        "test_the_policy_sidecar_is_refused_where_the_kernel_cannot_enforce",
        "test_the_sidecar_goes_on_and_off_where_that_is_accepted",
        "test_uninstall_leaves_nothing_on_the_nodes",
        "test_flannel_from_nothing_makes_the_nodes_ready_and_a_second_run_changes_nothing",
    ),
    "cluster/test_guest_node.py": (
        "test_a_guest_joins_a_node_of_namespaces",
        "test_flannel_joins_pods_of_both_and_shows_that_policies_hold_on_the_guest",
        "test_a_policy_is_obeyed_by_packets_to_a_pod_of_the_guest",
        "test_the_guest_comes_back_from_a_reboot_by_itself",
        "test_an_upgrade_goes_through_the_guest",
    ),
    "cluster/test_killed.py": ("test_the_next_run_finishes_what_a_killed_one_began",),
    "dataplane/test_places.py": tuple(
        f"test_nothing_is_half_written_and_the_next_run_finishes[{case}]"
        for case in (
            "CNI configuration-Read-only file system",
            "kernel settings-No space left on device",
            "bundle-No space left on device",
            "bundle-Read-only file system",
        )
    ),
    "distribution/test_network_k3s.py": (
        "test_keys_of_k3s_in_the_object_of_rancher",
        "test_one_value_more_and_the_others_stay",
        "test_what_is_in_the_way_is_told_and_nothing_stays_half_changed",
    ),
    "distribution/test_network_rke2.py": ("test_the_values_of_a_cluster_that_rancher_provisions",),
    "eda/test_flannel_leases.py": ("test_kubernetes_restarted[True]", "test_etcd_compacted_while_disconnected"),
    "flannel_role/test_cluster.py": (
        "test_what_was_adopted_is_removed_where_it_is",
        "test_helm_release_without_the_label_is_taken_over",
        "test_selector_that_cannot_be_kept_makes_a_new_daemonset",
        "test_move_to_the_roles_own_namespace",
        "test_older_flannel_is_upgraded_in_place[release-asset]",
        "test_older_flannel_is_upgraded_in_place[foreign-selector]",
        "test_waves_take_a_container_away_and_its_rights_afterwards",
    ),
    "flannel_role/test_faults.py": (
        "test_a_server_that_dies_during_the_first_write",
        "test_a_run_that_is_cut_off_after_the_deletion_is_finished_in_the_same_place",
        "test_a_daemonset_that_never_becomes_ready",
        "test_two_runs_at_once",
    ),
    "flannel_role/test_helm.py": ("test_manifest_and_release_take_over_from_each_other",),
    "kube/test_lease_migration.py": (
        *(
            f"test_networks_of_other_kinds_keep_all_that_their_leases_say[{shape}]"
            for shape in ("host-gw-True", "ipip-False")
        ),
    ),
    "kube_ovn/test_role.py": (
        "test_a_namespace_of_the_role_goes_on_uninstall_only",
        "test_certificates_change_hands",
        "test_the_namespace_of_kube_ovn_itself_is_excluded",
    ),
    "kube_ovn/test_webhook.py": ("test_ten_thousand_namespaces",),
    "lab/test_guests.py": (
        "test_a_guest_is_a_host_beside_the_others",
        "test_an_overlay_joins_both",
        "test_a_reboot_is_a_reboot",
        "test_a_guest_that_was_killed_is_switched_on_again",
        "test_nothing_is_left",
        "test_wireguard_is_brought_back_at_a_reboot",
    ),
    "rollout/test_rollout.py": (
        *(f"test_interruption_at_any_write_is_mended_by_the_next_run[{writes}]" for writes in (1, 3, 4)),
        *(f"test_interruption_of_the_way_back_is_mended_by_the_next_run[{writes}]" for writes in (6, 10)),
    ),
    "rollout/test_stops.py": ("test_rolled_back_on_request[1]", "test_held_while_somebody_else_writes[True]"),
    "status/test_bad_links.py": (
        "test_an_mtu_on_a_way_that_loses_packets_is_both",
        "test_an_overlay_is_made_and_looked_at_over_links_that_lose_packets",
    ),
    "status/test_directions.py": (
        *(
            f"test_the_direction_the_rule_and_the_command_that_opens_it[{case}]"
            for case in ("open", "input of b", "output of a", "a policy", "iptables", "iptables-legacy", "ufw")
        ),
    ),
    "status/test_doctor.py": (
        *(f"test_faults_are_found_and_repaired[{shape}]" for shape in ("host-gw", "direct", "ipv4")),
        "test_a_peer_on_which_a_real_flanneld_works",
    ),
    "upgrade/test_canal.py": ("test_upgrade_that_fails_and_one_that_does_not",),
    "upgrade/test_gates.py": ("test_a_node_that_may_fail_and_what_is_not_looked_at",),
    "upgrade/test_helm.py": ("test_release_goes_back_and_forth_in_waves",),
    "upgrade/test_upgrade.py": (
        # Molecule's scenario upgrade goes both ways.
        "test_rolled_back_by_hand_from_its_backup_or_refused",
        "test_interrupted_in_wave_two_and_gone_on",
        "test_api_server_restarts_and_the_directory_has_to_be_one",
    ),
}
LEFT = {f"{HERE / name}::{test}" for name, tests in FULL.items() for test in tests}
RANK = {str(HERE / name): number for number, name in enumerate(LONG)}
# In the guest a test takes ten times as long, so of each kind one is run there: both backends, one family and both,
# keys and modes, repair, the restore at boot, and two bad links. The rest is left to PODNET_FULL=1.
GUEST_FULL = {
    "dataplane/test_container.py": tuple(
        f"test_but_for_what_it_may_not_write_it_is_what_the_module_makes[{name}]"
        for name in ("ipip", "ipip-directrouting", "wireguard", "wireguard-separate", "wireguard-auto")
    ),
    "dataplane/test_flanneld.py": tuple(
        f"{test}[{name}]"
        for test in ("test_equal_to_flanneld", "test_takes_over_from_flanneld")
        for name in (
            "ipip-ipv4",
            "ipip-ipv4-directrouting",
            "wireguard-ipv4",
            "wireguard-dual-stack-auto",
        )
    ),
    "dataplane/test_mixed.py": tuple(
        f"test_beside_a_running_flanneld[{name}]" for name in ("ipip", "wireguard-separate", "wireguard-auto")
    ),
    "dataplane/test_moves.py": ("test_no_packet_leaves_outside_of_a_tunnel[ipip]",),
    "dataplane/test_old_python.py": ("test_wireguard_by_the_oldest_pyroute2",),
    "dataplane/test_tunnels.py": (
        *(
            f"test_pods_reach_each_other[{name}]"
            # Those beside flanneld have ipip with DirectRouting and wireguard over IPv4.
            for name in (
                "ipip",
                "ipip-directrouting",
                "wireguard",
                "wireguard-options",
                "wireguard-ipv4",
                "wireguard-ipv6",
            )
        ),
        *(
            f"test_repair_switch_and_leave[{name}]"
            for name in ("ipip", "wireguard", "wireguard-separate", "wireguard-ipv4")
        ),
        *(f"test_repair_switch_and_leave[{name}]" for name in ("wireguard-ipv6", "wireguard-auto")),
    ),
    "dataplane/test_wireguard_peers.py": (
        "test_another_key_and_another_preshared_key",
        "test_a_peer_that_is_removed_is_sent_nothing",
    ),
    "status/test_bad_links.py": tuple(f"test_a_bad_link_by_netem[{name}]" for name in ("order", "loss", "slow-loss")),
    "network_policy/test_enforcement.py": (
        *(
            f"{test}[{release}]"
            for release in ("v0.8", "v0.8-wireguard", "v1.1", "v1.1-npa-v1alpha1", "v1.1-npa-v1alpha2")
            for test in (
                "test_engine_and_packets_agree",
                "test_connections_that_were_open_before_a_policy",
                "test_a_killed_agent_leaves_rules_that_the_module_removes",
            )
        ),
        "test_connections_that_were_open_before_an_admin_policy",
    ),
    "network_policy/test_sources.py": (
        "test_which_address_a_pod_sees_and_which_is_judged",
        "test_a_service_whose_endpoint_is_outside_is_judged_by_the_endpoint",
    ),
    # Molecule's scenarios and the codecs have its keys; a run of the program takes long in there.
    "refresh/test_backends.py": ("test_the_peers_of_wireguard_follow_a_new_key",),
    # An API server of its own takes minutes to start in there.
    "distribution/test_network_k3s.py": ("test_to_wireguard",),
    "restore/test_round_trip.py": (
        *(f"test_everything_is_back_as_it_was[{name}]" for name in ("ipip", "wireguard", "wireguard-auto")),
    ),
}
GUEST_LEFT = {f"{HERE / name}::{test}" for name, tests in GUEST_FULL.items() for test in tests}
ALL = os.environ.get("PODNET_FULL", "") not in ("", "0")
# In the guest: the features that the machine's own kernel lacks. Only tests that need one of them are run.
GUEST = set(filter(None, os.environ.get("PODNET_GUEST", "").split(",")))


def missing(item: pytest.Item) -> list[str]:
    """The features that the test needs and the running kernel lacks."""
    return sorted(feature for feature in features_of(item, MARK) if not has(feature))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what the kernel cannot do, before a fixture is made."""
    lacks = missing(item)
    if lacks:
        pytest.skip(f"this kernel has no {', '.join(lacks)}")


def left(item: pytest.Item, names: set[str]) -> bool:
    """Whether the test, or the one that it is a case of, is among these."""
    return bool({f"{item.path}::{name}" for name in (item.name, item.originalname)} & names)


def left_out(item: pytest.Item) -> bool:
    """Whether the test is not for this run, on this kernel."""
    if not ALL and (left(item, LEFT) or (left(item, GUEST_LEFT) and (GUEST or missing(item)))):
        return True
    return bool(GUEST) and not features_of(item, MARK, DIFFERS) & GUEST


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests of long files first; within a file, and among the others, nothing moves."""
    out = [item for item in items if left_out(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]
    items.sort(key=lambda item: RANK.get(str(item.path), len(RANK)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a test failed that passed when it was run again."""
    for report in terminalreporter.stats.get("rerun", ()):
        terminalreporter.section(f"failed once: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
