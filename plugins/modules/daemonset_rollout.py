#!/usr/bin/python
# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: daemonset_rollout
version_added: 1.0.0
short_description: Update a network DaemonSet in waves of nodes, and roll back when a node fails its checks
description:
  - Changes the pod template of a DaemonSet and a ConfigMap, then restarts its pods in waves. Canary nodes come first,
    then batches. Without a change of its own it rolls out what the DaemonSet already says.
  - After each wave it looks whether the pods are ready, whether the daemon's start reached the Node object, what the
    daemon's log says, and what a command of yours says. The next wave begins when all of that is good.
  - When a wave is not good, ConfigMap and pod template are put back in that order and the pods are restarted. The task
    fails and says what happened on which node.
  - Shows its progress while it works.
  - A Lease object in the namespace keeps a second run out and holds what it takes to continue after an interruption.
    Run the same task again then.
  - An action plugin on the controller repeats the module, which takes one step and never waits.
author:
  - podnet.cni contributors (@podnet-cni)
extends_documentation_fragment:
  - podnet.cni._attributes
  - podnet.cni._attributes.kubernetes
  - podnet.cni._kubernetes
attributes:
  check_mode:
    support: full
    details:
      - Divides the nodes and has the server try the change of the template.
  diff_mode:
    support: full
    details:
      - Preshared keys in O(config_data) are shown as hashes.
  idempotent:
    support: full
  platform:
    platforms: posix
options:
  namespace:
    description:
      - Namespace of the DaemonSet.
    type: str
    required: true
  name:
    description:
      - Name of the DaemonSet.
    type: str
    required: true
  state:
    description:
      - V(rolled_out) updates the pods, or continues with an update that was begun.
      - V(begun) takes the Lease and divides the nodes, and changes nothing else. So another run is kept out before
        other objects are changed. A later task of the same play continues with it.
      - V(rolled_back) takes back an update that was begun and has not ended, as a failed wave does, and succeeds
        when all is as it was before. Without such an update it does nothing.
    type: str
    choices: [rolled_out, begun, rolled_back]
    default: rolled_out
  hold:
    description:
      - With O(state=begun), take the Lease though nothing differs yet, and keep the DaemonSet from replacing pods
        itself, because somebody else, like Helm, is going to write the new state. The pods are restarted by
        O(state=rolled_out) then.
    type: bool
    default: false
  reason:
    description:
      - Why O(state=rolled_back), for the message of a run that has to continue with it.
    type: str
    default: a rollback was asked for
  template:
    description:
      - What changes in the pod template, as a strategic merge patch. Containers are told apart by their name.
    type: dict
    default: {}
  replace_template:
    description:
      - Whether O(template) is a whole pod template that takes the place of the old one, as one out of a backup is.
    type: bool
    default: false
  config_map:
    description:
      - ConfigMap of the same namespace that changes too. A change of it restarts the pods. Needs O(config_data).
    type: str
  config_data:
    description:
      - Keys of O(config_map) and their texts. Other keys are left alone.
    type: dict
    default: {}
  config_backup:
    description:
      - Directory of a backup by M(podnet.cni.pod_network_backup), on the host where the module runs. What it holds of
        O(config_map) takes the place of O(config_data), so that a preshared key in it passes through no task.
    type: path
  canary_nodes:
    description:
      - Nodes of the first wave.
    type: list
    elements: str
    default: []
  canary_selector:
    description:
      - Nodes of the first wave by label, with terms C(key=value), C(key!=value) and C(key), joined by commas.
    type: str
  batch:
    description:
      - Sizes of the waves after that, each a number of nodes or a percentage of all nodes. The last one repeats.
    type: list
    elements: str
    default: ['10%']
  waves:
    description:
      - The waves themselves, each a list of nodes. O(canary_nodes), O(canary_selector) and O(batch) do not count then.
      - Nodes that are in none of them form a wave at the end.
    type: list
    elements: list
    default: []
  until_wave:
    description:
      - Number of the wave after which to stop, counted from 1, so that something else can look at its nodes. The
        Lease is kept. Run the task again with a higher number to continue, without one to end, or with
        O(state=rolled_back).
      - A later task of the same host in the same run of Ansible continues at once. Another run has to wait until the
        Lease has run out.
      - V(0) does not stop.
    type: int
    default: 0
  max_unavailable:
    description:
      - How many pods may be away at once within a wave, and on the way back, as a number or a percentage of all nodes,
        rounded down and at least 1. A wave of more nodes restarts them in turns.
    type: str
    default: 10%
  max_failed:
    description:
      - How many nodes may fail after the first wave, as a number or a percentage of all nodes. The rollout continues
        without them and reports them. In the first wave none may fail.
    type: str
    default: '0'
  gates:
    description:
      - What is looked at beside the pods. V(node) is the Node's annotations and its condition C(NetworkUnavailable),
        which flannel writes at each start. V(logs) is the log of the daemon.
      - Give an empty list for a DaemonSet that is not flannel.
    type: list
    elements: str
    choices: [node, logs]
    default: [node, logs]
  container:
    description:
      - The container that is the daemon. The first one when not given.
    type: str
  annotation_prefix:
    description:
      - Prefix of the Node annotations, as flanneld's C(--kube-annotation-prefix) has it.
    type: str
    default: flannel.alpha.coreos.com
  log_healthy:
    description:
      - Texts that the log has to hold, each of them.
    type: list
    elements: str
    default:
      - 'Found network config - Backend type:'
      - Running backend.
  log_broken:
    description:
      - Texts of which a log with one of them means that the wave has failed.
    type: list
    elements: str
    default:
      - 'Failed to create SubnetManager:'
      - failed to read net conf
      - error parsing subnet config
      - error waiting for nodeController to sync state
      - 'Failed to check br_netfilter:'
      - 'Failed to find any valid interface to use:'
      - Failed to find interface to use that matches
      - 'Error fetching backend:'
      - 'Error registering network:'
      - failed to acquire lease
      - specified in the flannel net config doesn't contain
      - timeout contacting kube-api, failed to patch node
      - no nftables support
      - Failed to setup IPTables. iptables binary was not found
      - Failed to setup masq rules
      - couldn't setup forward rules
      - Failed to write subnet file
      - 'Couldn''t fetch network config:'
      - invalid VXLAN backend config
  log_others:
    description:
      - Further containers of the pod whose logs are looked at too, with the gate V(logs).
    type: list
    elements: dict
    default: []
    suboptions:
      container:
        description:
          - Name of the container.
        type: str
        required: true
      healthy:
        description:
          - Texts that its log has to hold, each of them.
        type: list
        elements: str
        default: []
      broken:
        description:
          - Texts of which a log with one of them means that the wave has failed.
        type: list
        elements: str
        default: []
  command:
    description:
      - Program with arguments that is run where the module runs, once after each wave. The wave has failed when it
        exits with something else than 0. After an interruption it may be run again.
      - The environment variable E(ROLLOUT_NODES) holds the nodes of the wave, joined by spaces, E(ROLLOUT_WAVE) its
        number.
    type: list
    elements: str
    default: []
  command_timeout:
    description:
      - Seconds after which the command is ended and counts as failed.
    type: int
    default: 60
  soak:
    description:
      - Seconds for which all nodes of a wave have to stay good.
    type: float
    default: 30.0
  wave_timeout:
    description:
      - Seconds that a wave has to become good after the last restart in it.
    type: float
    default: 600.0
  image_pull_timeout:
    description:
      - Seconds for which an image may fail to be pulled before the wave has failed. The kubelet tries again after 10,
        20 and 40 seconds, so in the default time it has tried four times.
    type: float
    default: 90.0
  poll:
    description:
      - Seconds between two looks.
    type: float
    default: 5.0
  rollback:
    description:
      - Whether a failed wave is rolled back. With V(false) everything stays as it is, and the DaemonSet replaces no
        pods by itself until the task is run again.
    type: bool
    default: true
  lease_seconds:
    description:
      - Seconds without a sign of life after which another run may take over. Also how long a silent API server is
        waited for.
    type: int
    default: 120
notes:
  - During the rollout the DaemonSet's update strategy is C(OnDelete). At the end it is what it was.
  - Nodes that are not ready when the rollout begins, and Nodes that are deleted meanwhile, are left out and reported. A
    node that stops reporting meanwhile fails when O(wave_timeout) is over, and counts for O(max_failed).
  - Canary nodes and batches count when a rollout begins. A run that takes over keeps them.
  - With the gate V(logs), the logs of the first wave are tried before anything is changed. A log that cannot be read
    later fails the wave after 30 seconds, and at once when the right to read it is missing.
  - Needs get and patch for DaemonSets and ConfigMaps, list for Nodes, ControllerRevisions and Pods, delete for Pods,
    get for C(pods/log), list for Events, and get, create, patch and delete for Leases. Without the right to list Events
    the evidence lacks them.
seealso:
  - module: podnet.cni.flannel_network_policy
"""

EXAMPLES = r"""
- name: Update flannel, one worker first
  podnet.cni.daemonset_rollout:
    namespace: kube-flannel
    name: kube-flannel-ds
    template:
      spec:
        containers:
          - name: kube-flannel
            image: ghcr.io/flannel-io/flannel:v0.28.9
    canary_nodes: [worker-1]
    batch: ['1', '5%', '25%']

- name: Change the network config, and test each wave from outside
  podnet.cni.daemonset_rollout:
    namespace: kube-flannel
    name: kube-flannel-ds
    config_map: kube-flannel-cfg
    config_data:
      net-conf.json: "{{ lookup('ansible.builtin.file', 'net-conf.json') }}"
    canary_selector: pool=canary
    command: [/usr/local/bin/check-pods]

- name: Update two waves, and stop there
  podnet.cni.daemonset_rollout:
    namespace: kube-flannel
    name: kube-flannel-ds
    template:
      spec:
        containers:
          - name: kube-flannel
            image: ghcr.io/flannel-io/flannel:v0.28.9
    waves:
      - [worker-1]
      - [control-1]
      - [worker-2, worker-3]
    until_wave: 2

- name: Take it back
  podnet.cni.daemonset_rollout:
    namespace: kube-flannel
    name: kube-flannel-ds
    state: rolled_back

- name: Roll out what a DaemonSet with update strategy OnDelete already says
  podnet.cni.daemonset_rollout:
    namespace: kube-system
    name: node-agent
    gates: []
    batch: ['20%']
"""

RETURN = r"""
actions:
  description: What was done.
  returned: always
  type: list
  elements: str
  sample:
    - begin the rollout of DaemonSet kube-flannel/kube-flannel-ds
    - update DaemonSet kube-flannel/kube-flannel-ds
    - restart the pod on worker-1
waves:
  description: How the nodes were divided; empty when there was nothing to do.
  returned: success
  type: list
  elements: list
  sample:
    - [worker-1]
    - [worker-2, worker-3]
left_out:
  description: Nodes that were left out because they are not ready, or gone, or did not answer on the way back.
  returned: success
  type: list
  elements: str
  sample: []
failed_nodes:
  description: Nodes that did not become healthy and that the rollout went on without, each with the reason.
  returned: success
  type: dict
  sample: {}
complete:
  description: Whether there is nothing left to do. False after a stop at O(until_wave).
  returned: success
  type: bool
  sample: true
took_over:
  description: Whether a rollout that was interrupted was found and continued, or rolled back.
  returned: success
  type: bool
  sample: false
problem:
  description: What went wrong, without what was done about it.
  returned: failure of a wave
  type: str
  sample: 'wave 1 of 3: worker-1: container kube-flannel is in CrashLoopBackOff: back-off 10s restarting failed'
evidence:
  description:
    - What was known of nodes that did not become healthy, at most three, before their pods were deleted.
  returned: success, and failure of a wave
  type: list
  elements: dict
  contains:
    node:
      description: Name of the Node; empty for what concerns all.
      type: str
    reason:
      description: Why it was not well.
      type: str
    pod:
      description: Name of the pod, empty when there was none.
      type: str
    container:
      description: The container that is to blame, or the daemon.
      type: str
    exit_code:
      description: How that container ended last, null when it never did.
      type: int
    exit_reason:
      description: The reason that Kubernetes gives for that end.
      type: str
    log:
      description: The first 5 and the last 15 lines of its log.
      type: list
      elements: str
    events:
      description: The last 10 events of the pod, or of the DaemonSet when there was no pod.
      type: list
      elements: str
    unknown:
      description: What could not be had, with the reason.
      type: list
      elements: str
  sample:
    - node: worker-1
      reason: 'container kube-flannel is in CrashLoopBackOff: back-off 10s restarting failed container'
      pod: kube-flannel-ds-x7k2p
      container: kube-flannel
      exit_code: 2
      exit_reason: Error
      log: ['flag provided but not defined: -no-such-flag']
      events: []
      unknown: []
progress:
  description: Where the rollout is.
  returned: when there was something to do
  type: dict
  sample:
    phase: update
    wave: 2
    waves: 2
    done: 3
    total: 3
    node: ''
    elapsed: 95
    text: all nodes are done
done:
  description: Whether the task is over. Always true unless the module is run without its action plugin.
  returned: success
  type: bool
  sample: true
"""

import os
import subprocess
from typing import Mapping, Sequence

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.podnet.cni.plugins.module_utils._backup import run as backup
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import auth, channel, hiding
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._rollout import driver, options


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**auth.ARGUMENT_SPEC, **options.ARGUMENT_SPEC, **channel.spec(options.TOLD)},
        supports_check_mode=True,
        no_log=True,
    )
    module.no_log_values.update(auth.secrets(module.params["kubeconfig"]))
    try:
        params = backup.with_config({**module.params, **channel.take(module.params, options.TOLD)})
    except PodnetError as error:
        module.fail_json(msg=str(error))
    module.no_log_values.update(hiding.config_secrets(params["config_data"]))

    def command(words: Sequence[str], environment: Mapping[str, str]) -> str:
        timeout = module.params["command_timeout"]
        try:
            done = subprocess.run(
                words, check=False, capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
            )
        except subprocess.TimeoutExpired:
            return f"command {words[0]} did not end within {timeout} s"
        except OSError as error:
            return f"command {words[0]} cannot be run: {error}"
        output = " ".join((done.stdout + done.stderr).split())[-300:]
        return f"command {words[0]} exited with {done.returncode}: {output}" if done.returncode else ""

    try:
        with KubeClient.from_options(module.params) as client:
            step = driver.Step(client, params, command)
            outcome = step.plan() if module.check_mode else step.take()
    except PodnetError as error:
        module.fail_json(msg=str(error), retriable=isinstance(error, (Conflict, Unreachable)))
    result = {
        "changed": outcome.changed,
        "actions": outcome.actions,
        "waves": outcome.waves,
        "left_out": outcome.left_out,
        "failed_nodes": outcome.tolerated,
        "complete": outcome.complete,
        "took_over": outcome.took_over,
        "evidence": outcome.evidence,
        "progress": outcome.progress,
        "done": outcome.finished,
        "diff": outcome.diff,
    }
    if outcome.finished and outcome.left_out:
        module.warn(f"left out because they are not ready or gone: {', '.join(outcome.left_out)}.")
    if outcome.finished and outcome.tolerated:
        module.warn(f"not well after the update: {'; '.join(map(': '.join, outcome.tolerated.items()))}.")
    if outcome.failure:
        module.fail_json(msg=outcome.failure, problem=outcome.problem, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
