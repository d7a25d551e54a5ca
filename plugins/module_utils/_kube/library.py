# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The official Python package kubernetes and what comes with it, imported when a cluster is asked for the first time.

Private to podnet.cni: may change in any release.

Importing it takes about 0.2 s, which a task that needs no cluster should not pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import MissingLibrary


@dataclass(frozen=True)
class Library:
    """The parts we use; each is a module or class of the named package."""

    configuration: Any  # kubernetes.client.Configuration
    rest_client: Any  # kubernetes.client.rest.RESTClientObject
    config: Any  # kubernetes.config
    kube_config: Any  # kubernetes.config.kube_config
    urllib3: Any
    header_dict: Any  # urllib3's HTTPHeaderDict, which urllib3 1.26 does not export at its top
    yaml: Any


def load() -> Library:
    """Import the package; the import system makes every call but the first cheap. Raises MissingLibrary."""
    try:
        return Library(
            configuration=import_module("kubernetes.client").Configuration,
            rest_client=import_module("kubernetes.client.rest").RESTClientObject,
            config=import_module("kubernetes.config"),
            kube_config=import_module("kubernetes.config.kube_config"),
            urllib3=import_module("urllib3"),
            header_dict=import_module("urllib3._collections").HTTPHeaderDict,
            yaml=import_module("yaml"),
        )
    except ImportError as error:
        raise MissingLibrary(
            f"The Python package kubernetes is missing ({error}). Install it for the Python that runs this task, "
            "or delegate the task to a host that has it (delegate_to: localhost)."
        ) from error


def load_x509() -> Any:
    """The module cryptography.x509, None where it is not installed: it only makes one message better."""
    try:
        return import_module("cryptography.x509")
    except ImportError:
        return None
