# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who we are and where the API server is: options, environment, kubeconfig, in-cluster account.

Private to podnet.cni: may change in any release.

The option names and the C(K8S_AUTH_*) variables are those of the collection kubernetes.core. The official Python
package C(kubernetes) reads kubeconfig files, runs exec plugins and finds the in-cluster account.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import json
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import unquote, urlsplit

from ansible_collections.podnet.cni.plugins.module_utils._kube import argument_spec, fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import InvalidAuth
from ansible_collections.podnet.cni.plugins.module_utils._kube.library import Library, load, load_x509

ARGUMENT_SPEC = argument_spec.ARGUMENT_SPEC
secrets = argument_spec.secrets

EXEC_TIMEOUT = 60.0
"""Seconds an exec plugin of a kubeconfig may take; the Python package itself sets no bound."""

DEFAULT_KUBECONFIG = "~/.kube/config"

ENVIRONMENT: Mapping[str, str] = {
    "kubeconfig": "K8S_AUTH_KUBECONFIG",
    "context": "K8S_AUTH_CONTEXT",
    "host": "K8S_AUTH_HOST",
    "api_key": "K8S_AUTH_API_KEY",
    "username": "K8S_AUTH_USERNAME",
    "password": "K8S_AUTH_PASSWORD",
    "validate_certs": "K8S_AUTH_VERIFY_SSL",
    "ca_cert": "K8S_AUTH_SSL_CA_CERT",
    "client_cert": "K8S_AUTH_CERT_FILE",
    "client_key": "K8S_AUTH_KEY_FILE",
    "proxy": "K8S_AUTH_PROXY",
    "no_proxy": "K8S_AUTH_NO_PROXY",
    "impersonate_user": "K8S_AUTH_IMPERSONATE_USER",
    "impersonate_groups": "K8S_AUTH_IMPERSONATE_GROUPS",
}
"""Option -> variable that fills it when the option is not given."""


@dataclass(frozen=True)
class Auth:
    """Connection options as the user gave them; None means not given."""

    kubeconfig: str | Mapping[str, Any] | None = field(default=None, repr=False)
    context: str | None = None
    host: str | None = None
    api_key: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    validate_certs: bool | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    impersonate_user: str | None = None
    impersonate_groups: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, options: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Auth:
        """Take the known options of a module or plugin; fill what is not given from C(K8S_AUTH_*)."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for name, variable in ENVIRONMENT.items():
            value = options.get(name)
            if value is None or value in ("", []):
                value = environ.get(variable) or None
            if value is not None:
                values[name] = value
        if isinstance(values.get("validate_certs"), str):
            values["validate_certs"] = _boolean(values["validate_certs"])
        groups = values.get("impersonate_groups", ())
        if isinstance(groups, str):
            groups = groups.split(",")
        values["impersonate_groups"] = tuple(group.strip() for group in groups if group.strip())
        return cls(**values)


@dataclass
class Target:
    """One API server and our identity there, ready to send requests to.

    C(configuration) is a C(kubernetes.client.Configuration); C(headers) are sent with every request.
    """

    configuration: Any
    server: str
    context: str
    headers: list[tuple[str, str]]
    renewer: str = ""
    """What renews the credentials and may hang or fail while it does, for messages; empty for what is only read."""

    @property
    def label(self) -> str:
        """Name of the cluster in messages."""
        return f"{self.server} (context {self.context})" if self.context else self.server

    def credentials(self) -> str:
        """The value of the Authorization header, renewed if need be; empty for client certificates and for none.

        Raises InvalidAuth when they cannot be renewed, within EXEC_TIMEOUT.
        """
        hook = self.configuration.refresh_api_key_hook
        if hook is not None:
            self._renew(hook)
        # Releases of the package differ in the name they store the token under.
        keys = self.configuration.api_key
        # A token file usually ends in a line feed, which no header may hold.
        return str(keys.get("BearerToken") or keys.get("authorization") or "").strip()

    def _renew(self, hook: Callable[[Any], None]) -> None:
        what = self.renewer or f"the token of {self.label}"
        errors: list[str] = []
        try:
            if self.renewer:
                errors = _run_bounded(lambda: hook(self.configuration), EXEC_TIMEOUT, what)
            else:
                hook(self.configuration)
        except InvalidAuth:
            raise
        # Whatever the package and the libraries it renews with raise; their texts may quote credentials.
        except Exception as error:
            raise InvalidAuth(f"{what} could not be renewed ({type(error).__name__}). Log in again.") from None
        if errors:
            raise InvalidAuth(f"{what} gave no new credentials: {'; '.join(errors)[:400]}. Run the command by hand.")

    def age_hint(self) -> str:
        """A sentence for a 401 when the credentials are visibly out of date, else nothing.

        The claim C(exp) is RFC 7519 4.1.4, the validity of a certificate RFC 5280 4.1.2.5.
        """
        now = datetime.datetime.now(datetime.timezone.utc)
        for value in self.configuration.api_key.values():
            expiry = _token_expiry(str(value))
            if expiry is not None and expiry < now:
                return f"The token expired at {expiry:%Y-%m-%d %H:%M} UTC. "
        expiry = _certificate_expiry(self.configuration.cert_file)
        if expiry is not None and expiry < now:
            return f"The client certificate expired at {expiry:%Y-%m-%d %H:%M} UTC. "
        return ""


def resolve(auth: Auth) -> Target:
    """Turn options into a target.

    Order: host with no kubeconfig and no context uses the options alone; a kubeconfig or a context uses the
    kubeconfig; with none of them the in-cluster account, then the default kubeconfig. Options given beside a
    kubeconfig replace what it says.

    Raises InvalidAuth or MissingLibrary.
    """
    _check(auth)
    library = load()
    configuration = library.configuration()
    context = renewer = ""
    acts_as: tuple[str, tuple[str, ...]] = ("", ())
    if not (auth.host and auth.kubeconfig is None and auth.context is None):
        in_cluster = auth.kubeconfig is None and auth.context is None and _load_in_cluster(library, configuration)
        if not in_cluster:
            context, acts_as, renewer = _load_kubeconfig(library, auth, configuration)
    _override(library, configuration, auth)
    if not auth.impersonate_user and not auth.impersonate_groups:
        user, groups = acts_as
    else:
        user, groups = auth.impersonate_user or "", auth.impersonate_groups
    if groups and not user:
        raise InvalidAuth("impersonate_groups needs impersonate_user: the API server refuses groups without a user.")
    headers = [("Impersonate-User", user)] if user else []
    headers += [("Impersonate-Group", group) for group in groups]
    server = str(configuration.host).rstrip("/")
    if not server.startswith(("http://", "https://")):
        raise InvalidAuth(f"host {server!r} is not an API server address: write it as https://name:port.")
    return Target(configuration, server, context, headers, renewer)


@contextlib.contextmanager
def key_files_removed() -> Iterator[None]:
    """Remove at the end of the block the files that were made in it out of certificates and keys in kubeconfigs.

    The package writes such data to files in the temporary directory and removes them in an exit handler. A worker
    process of Ansible ends without exit handlers, so code that runs in one has to use this. The package keeps one file
    per content for the whole process: the block must span all clients that use them, in every thread. Files that were
    there before, another collection's, stay. Source: kubernetes 24.2 to 37.0 config/kube_config.py, _temp_files.
    """
    files = load().kube_config._temp_files
    before = set(files)
    try:
        yield
    finally:
        # The exit handler replaces the mapping, and so does nobody but it.
        for content in set(files) - before:
            with contextlib.suppress(FileNotFoundError):
                os.remove(files.pop(content))


def _check(auth: Auth) -> None:
    for one, other in (("client_cert", "client_key"), ("username", "password")):
        if bool(getattr(auth, one)) != bool(getattr(auth, other)):
            raise InvalidAuth(f"{one} and {other} belong together: give both or none.")
    for name in ("ca_cert", "client_cert", "client_key"):
        path = getattr(auth, name)
        if path and not os.path.isfile(os.path.expanduser(path)):
            raise InvalidAuth(f"{name}: there is no file {path}.")


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in ("1", "true", "yes", "on", "y", "t"):
        return True
    if word in ("0", "false", "no", "off", "n", "f"):
        return False
    raise InvalidAuth(f"validate_certs (K8S_AUTH_VERIFY_SSL) is {text!r}: use true or false.")


def _load_in_cluster(library: Library, configuration: Any) -> bool:
    try:
        library.config.load_incluster_config(client_configuration=configuration)
    except library.config.ConfigException:
        return False
    return True


def _override(library: Library, configuration: Any, auth: Auth) -> None:
    if auth.host:
        configuration.host = auth.host
    token = ""
    if auth.api_key:
        token = f"Bearer {auth.api_key.strip()}"
    elif auth.username and auth.password:
        pair = f"{auth.username}:{auth.password}".encode()
        token = "Basic " + base64.b64encode(pair).decode("ascii")
    if token:
        configuration.api_key = {"BearerToken": token}
        configuration.refresh_api_key_hook = None
    if auth.validate_certs is not None:
        configuration.verify_ssl = auth.validate_certs
    for option, attribute in (("ca_cert", "ssl_ca_cert"), ("client_cert", "cert_file"), ("client_key", "key_file")):
        path = getattr(auth, option)
        if path:
            setattr(configuration, attribute, os.path.expanduser(path))
    if auth.proxy:
        configuration.proxy = auth.proxy
    if auth.no_proxy:
        configuration.no_proxy = auth.no_proxy
    parts = urlsplit(configuration.proxy or "")
    if parts.username and not configuration.proxy_headers:
        # The package leaves out what the URL of a proxy says about the user.
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        configuration.proxy_headers = library.urllib3.util.make_headers(proxy_basic_auth=user)


def _load_kubeconfig(library: Library, auth: Auth, configuration: Any) -> tuple[str, tuple[str, tuple[str, ...]], str]:
    """Fill the configuration; give the context's name, whom the kubeconfig says to impersonate, and the renewer."""
    content, source = _read_kubeconfig(library, auth.kubeconfig)
    name, user = _select(content, source, auth.context)
    where = f"context {name!r} of {source}"
    loader = library.kube_config.KubeConfigLoader(config_dict=content, active_context=name, config_base_path=None)

    def fill() -> None:
        loader.load_and_set(configuration)

    renewer = ""
    if "exec" in user:
        renewer = f"the exec plugin {_command(user)!r} of {where}"
    elif "auth-provider" in user:
        renewer = f"the auth-provider of {where}"
    errors: list[str] = []
    try:
        if renewer:
            errors = _run_bounded(fill, EXEC_TIMEOUT, renewer)
        else:
            fill()
    except library.config.ConfigException as error:
        # The text may quote a whole section of the file, credentials included; only the harmless form is passed on.
        text = str(error)
        detail = text if text.startswith("File does not exist") else "a section is incomplete"
        raise InvalidAuth(f"{where} cannot be used: {detail}. Compare it with kubectl config view.") from None
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidAuth(f"{where} holds certificate or key data that is not base64.") from None
    except OSError as error:
        raise InvalidAuth(f"{where} cannot be used: {error.strerror}: {error.filename}.") from error
    except InvalidAuth:
        raise
    # An auth-provider of old and what renews tokens raise what they like; their texts may quote credentials.
    except Exception as error:
        what = renewer or where
        raise InvalidAuth(f"{what} failed ({type(error).__name__}). Try kubectl with it, and log in again.") from None
    if "exec" in user and not configuration.api_key and not configuration.cert_file:
        detail = "; ".join(errors)[:400] or "no token and no certificate in its answer"
        hint = str(user["exec"].safe_get("installHint") or "") if hasattr(user["exec"], "safe_get") else ""
        advice = f" {' '.join(hint.split())[:400]}" if hint else " Run the command by hand."
        raise InvalidAuth(f"{renewer} gave no credentials: {detail}.{advice}")
    return name, (str(user.get("as") or ""), tuple(str(group) for group in user.get("as-groups") or ())), renewer


def _read_kubeconfig(library: Library, given: str | Mapping[str, Any] | None) -> tuple[Any, str]:
    """Content of the kubeconfig as the package's node tree, and a name for it in messages."""
    kube_config = library.kube_config
    if isinstance(given, Mapping):
        for section in ("clusters", "contexts"):
            if not isinstance(given.get(section), list):
                raise InvalidAuth(f"the kubeconfig given as a dictionary has no list {section!r}.")
        return kube_config.ConfigNode("kubeconfig", dict(given)), "the kubeconfig given as a dictionary"
    paths = str(given or os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG)
    separator = kube_config.ENV_KUBECONFIG_PATH_SEPARATOR
    found = [os.path.expanduser(path) for path in paths.split(separator) if path]
    present = [path for path in found if os.path.isfile(path)]
    if not present:
        raise InvalidAuth(
            f"There is no kubeconfig {paths}. Give kubeconfig, or host with api_key or client_cert, "
            "or set K8S_AUTH_KUBECONFIG."
        )
    source = f"kubeconfig {separator.join(present)}"
    try:
        merged = kube_config.KubeConfigMerger(separator.join(present)).config
    except library.yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise InvalidAuth(f"{source} is not valid YAML{line}.") from None
    except (library.config.ConfigException, AttributeError, TypeError, KeyError):
        raise InvalidAuth(f"{source} is not a kubeconfig.") from None
    except OSError as error:
        raise InvalidAuth(f"{source} cannot be read: {error.strerror}.") from error
    return merged, source


def _select(content: Any, source: str, wanted: str | None) -> tuple[str, Mapping[str, Any]]:
    """Name of the context to use and its user section; every reference is checked before the package follows it."""
    sections = {name: _by_name(content, name) for name in ("contexts", "clusters", "users")}
    name = wanted or content.value.get("current-context") or ""
    known = ", ".join(sorted(sections["contexts"])) or "none"
    if not name:
        raise InvalidAuth(f"{source} has no current context. Give context; it knows: {known}.")
    entry = sections["contexts"].get(name)
    if entry is None:
        raise InvalidAuth(f"{source} has no context {name!r}; it knows: {known}.")
    context = entry.get("context") or {}
    cluster = fields.at(sections["clusters"].get(context.get("cluster")), "cluster")
    if not isinstance(cluster, Mapping) or not cluster.get("server"):
        raise InvalidAuth(f"{source}: context {name!r} names cluster {context.get('cluster')!r}, which has no server.")
    user_name = context.get("user")
    if user_name and user_name not in sections["users"]:
        raise InvalidAuth(f"{source}: context {name!r} names user {user_name!r}, which is not in the file.")
    user = fields.mapping(sections["users"].get(user_name), "user")
    return str(name), user


def _by_name(content: Any, section: str) -> dict[Any, Mapping[str, Any]]:
    entries = content.value.get(section) or []
    plain = [getattr(entry, "value", entry) for entry in entries]
    return {entry.get("name"): entry for entry in plain if isinstance(entry, Mapping)}


def _command(user: Mapping[str, Any]) -> str:
    return str(fields.at(user, "exec", "command") or "")


class _Capture(logging.Handler):
    """Keeps what one thread logs: the package reports a failing exec plugin only through the root logger."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.ERROR)
        self.thread_id = thread
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread_id:
            self.lines.append(record.getMessage().strip())


def _run_bounded(action: Callable[[], None], seconds: float, what: str) -> list[str]:
    """Run an action in a thread and wait a bounded time; give the errors it logged, raise what it raised."""
    lines: list[str] = []
    raised: list[BaseException] = []

    def run() -> None:
        handler = _Capture(threading.get_ident())
        logging.getLogger().addHandler(handler)
        try:
            action()
        except Exception as error:  # handed to the caller's thread below
            raised.append(error)
        finally:
            logging.getLogger().removeHandler(handler)
            lines.extend(handler.lines)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise InvalidAuth(f"{what} did not finish within {seconds:g} s. Run the command by hand.")
    if raised:
        raise raised[0]
    return lines


def _token_expiry(header: str) -> datetime.datetime | None:
    parts = header.rsplit(" ", maxsplit=1)[-1].split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.datetime.fromtimestamp(claims["exp"], datetime.timezone.utc)
    except (ValueError, TypeError, KeyError, OverflowError, OSError):
        return None


def _certificate_expiry(path: str | None) -> datetime.datetime | None:
    x509 = load_x509() if path else None
    if not path or x509 is None:
        return None
    try:
        with open(path, "rb") as handle:
            certificate = x509.load_pem_x509_certificate(handle.read())
    except (OSError, ValueError):
        return None
    # cryptography 42 brought the aware attribute, later releases drop the naive one.
    end: datetime.datetime | None = getattr(certificate, "not_valid_after_utc", None)
    if end is None:
        end = certificate.not_valid_after.replace(tzinfo=datetime.timezone.utc)
    return end
