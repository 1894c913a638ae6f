"""Composition root: the configuration and the gunicorn application.

gunicorn supervises the workers. See https://gunicorn.org/custom/.
"""

import gc
import math
import socket
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from gunicorn.app.base import BaseApplication

from app.config import downward_api, loader, policy
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo import routes
from app.echo.bottle_app import Handler
from app.echo.handler import EchoHandler
from app.http.request import Application, Environ
from app.http.response import Response
from app.server import certificate_store
from app.server.certificate_store import CertificateStore
from app.server.process import arbiter, file_limits, signals
from app.server.process.sockets import BACKLOG
from app.telemetry import otlp
from app.telemetry.exposition import MEDIA_TYPES
from app.telemetry.telemetry import Telemetry

# Directory of heartbeat files: in memory, since a disk may stall, and the only writable place in a container with a
# read-only root. https://gunicorn.org/faq/ (How do I avoid Gunicorn excessively blocking in os.fchmod)
_HEARTBEAT_DIR: Final = "/dev/shm"  # noqa: S108 - only unlinked files are made there, by gunicorn
# Seconds without a heartbeat after which the arbiter treats a worker as hung.
HANG_TIMEOUT: Final = 30


class Configuration(NamedTuple):
    """Settings, and what is derived from those that name files; `certificates` is None without TLS.

    `note` is a sentence about a setting that had to be reduced, or empty.
    """

    settings: Settings
    policy: Policy
    certificates: CertificateStore | None
    note: str


def read_configuration(environ: Mapping[str, str]) -> Configuration:
    """Read the environment, and every file that it names. Raise `SettingsError` or `TlsError`."""
    # A validated file is not read again before it is used. Sending spans requires a library, which is checked too.
    parsers = {**policy.caching_parsers(), "otlp_endpoint": otlp.check_endpoint}
    settings, note = file_limits.raise_open_file_limit(loader.read_settings(environ, parsers))
    parsed_policy = policy.build_policy(settings, downward_api.read_pod_info(environ), parsers)
    files = certificate_store.files_from_settings(settings)
    return Configuration(settings, parsed_policy, CertificateStore(files) if files else None, note)


class EchoApplication(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn application: settings, policy, sockets, certificates and workers."""

    def __init__(self, configuration: Configuration, sockets: Sequence[socket.socket], announcement: str) -> None:
        self.settings, self.policy, self.certificates, _ = configuration
        self.telemetry = Telemetry(self.settings, self.policy)
        # gunicorn takes over a socket by its descriptor and closes that one.
        self._descriptors = [sock.detach() for sock in sockets]
        self._announcement = announcement
        super().__init__(prog="echo")

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults; called by gunicorn."""
        for name, value in self._gunicorn_settings().items():
            self.cfg.set(name, value)

    def _gunicorn_settings(self) -> dict[str, Any]:
        return {
            "bind": [f"fd://{descriptor}" for descriptor in self._descriptors],
            "backlog": BACKLOG,
            "workers": self.settings.workers,
            "worker_class": "app.server.process.worker.Worker",
            "worker_tmp_dir": _HEARTBEAT_DIR if Path(_HEARTBEAT_DIR).is_dir() else None,
            "timeout": HANG_TIMEOUT,
            "graceful_timeout": math.ceil(self.settings.drain_seconds),
            # Its default location is the home directory, which is not writable with a read-only root.
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "echo",
            "when_ready": self._announce,
            "pre_fork": self._before_fork,
            "post_fork": lambda _, worker: self.telemetry.open_slot(worker),
            "child_exit": lambda _, worker: self.telemetry.release_worker_slot(worker.age),
        }

    def load(self) -> Application:
        """Return the WSGI application; called by gunicorn in each worker."""
        return routes.dispatch_by_port(
            {
                self.settings.port: routes.echo_app(
                    EchoHandler(self.settings, self.policy), grpc_handler(self.settings, self.policy)
                ),
                self.settings.admin_port: routes.admin_app(
                    self.settings, self.telemetry.metrics if self.settings.metrics == "on" else None, MEDIA_TYPES
                ),
            }
        )

    def run(self) -> None:
        """Serve until stopped; exits by `SystemExit`."""
        signals.exit_forks_on_stop_signals()
        # Objects that exist now live until the end. A collection in a worker would write to all of them, and so copy
        # the memory shared with the arbiter. A collection here, before the fork, would find next to nothing, leave free
        # blocks that workers write to, and take 15 ms. https://docs.python.org/3/library/gc.html#gc.freeze
        gc.freeze()
        gc.enable()
        arbiter.run(self)

    def _before_fork(self, arbiter: Any, worker: Any) -> None:
        # gunicorn exits if a worker fails before it has "booted". While other workers serve, that must not end them.
        worker.booted = arbiter.has_accepting_worker()
        self.telemetry.reserve_slot(worker)

    def _announce(self, arbiter: object) -> None:
        del arbiter  # gunicorn passes it to every hook
        # The access log has stdout for itself, as its readers expect.
        out = sys.stdout if self.settings.access_log == "off" else sys.stderr
        print(self._announcement, flush=True, file=out)


def grpc_handler(settings: Settings, policy: Policy) -> Handler:
    """Return the handler that starts gRPC calls; it imports its modules at the first call."""

    @cache
    def load_dispatcher() -> Handler:
        from app.grpc.dispatcher import GrpcDispatcher  # noqa: PLC0415 - 25 ms and 6 MB, for most workers for nothing

        return GrpcDispatcher(settings, policy).dispatch

    def handle_call(environ: Environ) -> Response:
        return load_dispatcher()(environ)

    return handle_call
