# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong between us and a Kubernetes API server.

Private to podnet.cni: may change in any release.

Every message names the server (and the context it was taken from), the request, and what to do.
No message holds a token, a password or a key.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


class KubeError(PodnetError):
    """A request that failed.

    C(status) is the HTTP status, 0 when there was no answer. C(reason) is the machine-readable reason of the
    server's Status object (for example C(AlreadyExists)), empty when there was none. C(path) is the path asked for.
    C(text) is the start of an answer that is not a Status object, as C(/readyz) gives it.
    """

    def __init__(self, message: str, *, status: int = 0, reason: str = "", path: str = "", text: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.path = path
        self.text = text


class MissingLibrary(KubeError):
    """The Python package kubernetes cannot be imported."""


class InvalidAuth(KubeError):
    """The connection options or the kubeconfig cannot be used; nothing was sent."""


class Unreachable(KubeError):
    """No usable answer: connection, TLS or timeout, or a server that stays overloaded."""


class Unauthorized(KubeError):
    """401: the server does not know the credentials."""


class Forbidden(KubeError):
    """403: the server knows the user and refuses the request."""


class NotFound(KubeError):
    """404: the object or its whole kind is missing."""


class Conflict(KubeError):
    """409: the object was changed, or it exists already (C(reason) is then C(AlreadyExists))."""


class Expired(KubeError):
    """410: a list continuation or a watch position is older than what the server keeps."""


BY_STATUS = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Expired}
"""Error class for an HTTP status; others give KubeError."""
