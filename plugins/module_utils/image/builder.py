# Copyright: (c) 2026, the Bulkhead authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A build engine of an environment's own, for the time of one build.

It is a second Docker daemon in namespaces of its own (processes, mounts, network), with its own disk image for layers
and caches, a control group, and an :class:`Uplink`. Its first process ends with the module that started it, and with
it the kernel ends all other processes, mounts and interfaces: a killed build leaves only names, which the next build
of the same environment removes. Runs on the targets.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from ..core.errors import Failure, last_lines
from ..core.handles import require_ours
from ..docker.engine import Engine, EngineError, engine_info
from ..docker.socket_connection import SocketConnection
from ..state.registry import state_directory
from .cgroup import Cgroup
from .uplink import STEPS, Uplink

_RUN = "/run/bulkhead-build"
_PROGRAMS = ("dockerd", "containerd", "runc", "unshare", "mount", "mkfs.ext4", "ip", "iptables")

#: Seconds for the engine to answer, to end, and to wait for an earlier build of the same environment to end.
_START, _STOP, _WAIT = 60, 15, 60

#: What every engine reaches without encryption.
_LOOPBACK = ("127.0.0.0/8", "::1/128")

_GIB = 1 << 30
#: What a build leaves free of the disk of the machine: a tenth, and at least this.
_SPARE = 2 * _GIB

#: Starts in the control group, with all namespaces but the users'. Arguments: directory, image, link, members …
_OUTSIDE = """
set -e
run=$1 image=$2 link=$3; shift 3
for members; do echo $$ > "$members"; done
exec unshare --net --mount --pid --fork --kill-child --mount-proc sh -c "$INSIDE" sh "$run" "$image" "$link"
"""

#: The first process of the namespaces. It ends when its standard input does. /run/containerd is hidden so that nothing
#: finds the machine's containerd there. The daemon would start one itself, but asks for it too early, and then again
#: only after a second; and another second when it ends. On a disk that a build filled (less than 64 MiB are free) no
#: engine would start: it has nothing but caches, and is emptied.
_INSIDE = """
set -e
run=$1
end() { kill -TERM "$1" || return 0; for _ in $(seq 1000); do kill -0 "$1" || break; sleep 0.01; done; } 2> /dev/null
if [ -d /run/containerd ]; then mount -t tmpfs -o mode=0711 tmpfs /run/containerd; fi
mount --bind "$run/resolv.conf" /etc/resolv.conf
mount -t ext4 -o loop,noatime,nodev,discard "$2" "$run/data"
[ "$(stat -f -c %a "$run/data")" -gt 16384 ] || rm -rf "$run/data/docker"
containerd --config "$run/containerd.toml" &
containerd=$!
for all in /proc/sys/net/ipv6/conf/all/disable_ipv6; do [ ! -e "$all" ] || echo 1 > "$all"; done
read -r address gateway
ip link set lo up
ip addr add "$address" dev "$3"
ip link set "$3" up
ip route add default via "$gateway"
until [ -S "$run/containerd.sock" ]; do kill -0 "$containerd"; sleep 0.01; done
dockerd --config-file "$run/daemon.json" &
engine=$!
(while kill -0 "$engine" 2> /dev/null; do sleep 0.1; done; : > "$run/ended") &
cat > /dev/null
end "$engine"
end "$containerd"
"""

#: The configuration of its containerd: its places, and no more parts than a daemon needs, as the daemon itself has it.
_CONTAINERD = """\
version = 2
root = "{run}/data/docker/containerd/daemon"
state = "{run}/exec/containerd/daemon"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = "{run}/containerd.sock"
[debug]
level = "error"
"""


class Settings(NamedTuple):
    """What limits a build: bytes of memory (0 for half of the machine's) and of disk, processors (0 for all, at a low
    priority), and the ``host:port`` that it may reach beside the internet."""

    memory: int = 0
    cpus: float = 0
    disk: int = 20 * _GIB
    egress: tuple[str, ...] = ()


class Unavailable(Failure):
    """This machine cannot run a build engine; the message says why."""


def disk_size(wanted: int, kept: int, free: int, total: int) -> int:
    """The size of a build engine's disk image, of which the machine must be able to hold every byte.

    ``kept`` are the bytes that the present image occupies. Raises EngineError if the disk is too full to build.
    """
    room = kept + free - max(total // 10, _SPARE)
    if room < _GIB:
        raise EngineError(
            "the disk of this machine is too full to build: %.1f GiB are free. Free some space, for example with "
            "docker image prune" % (free / _GIB)
        )
    return min(wanted, room) // _GIB * _GIB


def check_room(folder: str, size: int) -> None:
    """Raise EngineError if so many more bytes would fill the disk that a folder of the machine is on."""
    if not os.path.isdir(folder):
        return
    disk = os.statvfs(folder)
    total, free = disk.f_blocks * disk.f_frsize, disk.f_bavail * disk.f_frsize
    if free - size < max(total // 20, _SPARE // 2):
        raise EngineError(
            "the image (%.1f GiB) would fill the disk of %s, which has %.1f GiB free"
            % (size / _GIB, folder, free / _GIB)
        )


class Builder:
    """The build engine of one environment."""

    def __init__(self, engine: Engine, state: str, prefix: str, settings: Settings) -> None:
        self.engine = engine
        self.prefix = prefix
        self.settings = settings
        self.folder = os.path.join(state_directory(state), "builders", prefix)
        key = hashlib.sha256(os.path.realpath(self.folder).encode()).hexdigest()[:10]
        self.run = os.path.join(_RUN, key)
        self.image = os.path.join(self.folder, "disk.img")
        self.cgroup = Cgroup(key)
        self.uplink = Uplink(engine, key, prefix, settings.egress)
        #: Where this process reads the data of the engine while that runs.
        self.data = ""

    # ---- life ----------------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise Unavailable if this machine cannot have a build engine."""
        if os.geteuid() != 0:
            raise Unavailable("it needs root on the machine (ansible_become)")
        if not self.engine.docker_host.startswith("unix://"):
            raise Unavailable("bulkhead_docker_host is not a socket of this machine")
        missing = [name for name in _PROGRAMS if not self.engine.find(name)]
        if missing:
            raise Unavailable("this machine has no %s" % " and no ".join(missing))
        if not os.path.exists("/dev/loop-control"):
            raise Unavailable("this machine has no loop devices to limit its disk with")
        try:
            self.uplink.nameservers()
        except Failure as error:
            raise Unavailable(error.message) from error

    @contextlib.contextmanager
    def started(self) -> Iterator[Engine]:
        """The running engine. Raises Unavailable if it cannot be started; then nothing of it is left."""
        require_ours(self.folder)
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        with self._alone() as lock:
            self._clear()
            try:
                process = self._start(lock)
            except (Failure, OSError) as error:
                self._clear()
                if isinstance(error, EngineError):  # nothing that the machine lacks
                    raise
                raise Unavailable("it does not start: %s" % error, getattr(error, "detail", "")) from error
            self.data = "/proc/%d/root%s/data/docker" % (process.pid, self.run)  # its mounts are its own
            try:
                yield Engine(self.engine.module, "unix://%s/docker.sock" % self.run)
            finally:
                self._stop(process)
                self._clear()

    def remove(self) -> None:
        """Remove the engine's disk with its caches."""
        if os.path.isdir(self.folder):
            with self._alone():
                self._clear()
                shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[int]:
        """Hold the lock of this build engine, which its processes inherit: it is free once all of them have ended."""
        descriptor = os.open(os.path.join(self.folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + _WAIT
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise EngineError(
                            "another build of %s still runs on this machine. Wait for it, then run this again"
                            % self.prefix
                        ) from error
                    time.sleep(0.1)
            yield descriptor
        finally:
            os.close(descriptor)

    def _start(self, lock: int) -> subprocess.Popen[bytes]:
        os.makedirs(self.run, mode=0o700)
        os.mkdir(os.path.join(self.run, "data"))
        self._make_disk()
        self._write("resolv.conf", self.uplink.resolver_file())
        self._write("containerd.toml", _CONTAINERD.format(run=self.run))
        self._write("daemon.json", json.dumps(self._configuration()))
        half = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        memory = self.settings.memory or half
        self.cgroup.create(memory, self.settings.cpus, together=max(memory, half))
        with open(os.path.join(self.run, "log"), "wb") as log:
            # run_command would wait for its end.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                ["/bin/sh", "-c", _OUTSIDE, "sh", self.run, self.image, self.uplink.inside, *self.cgroup.members],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={"PATH": self.engine.environment()["PATH"], "INSIDE": _INSIDE, "LANG": "C.UTF-8"},
                cwd="/",
                pass_fds=(lock,),
                start_new_session=True,
            )
        try:
            self._wait(process, lambda: _network_of(process.pid) not in ("", _network_of(os.getpid())), "begin")
            given = self.uplink.connect(process.pid)
            stdin: IO[bytes] = process.stdin  # type: ignore[assignment]
            stdin.write(("%s %s\n" % given).encode())
            stdin.flush()
            self._wait(process, self._answers, "answer")
        except BaseException:
            self._stop(process)
            raise
        return process

    def _wait(self, process: subprocess.Popen[bytes], ready: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _START
        while not ready():
            ended = process.poll() is not None or os.path.exists(os.path.join(self.run, "ended"))
            if ended or time.monotonic() > deadline:
                with open(os.path.join(self.run, "log"), encoding="utf-8", errors="replace") as log:
                    raise Unavailable("it did not %s" % what, last_lines(log.read(), 6))
            time.sleep(0.01)

    def _answers(self) -> bool:
        connection = SocketConnection(os.path.join(self.run, "docker.sock"), limit=2)
        try:
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()  # and with it, by --kill-child, everything inside
            process.wait()

    def _clear(self) -> None:
        """Remove what a build engine leaves outside of its namespaces."""
        self.uplink.remove()
        self.cgroup.remove()
        if os.path.isdir(self.run):
            shutil.rmtree(self.run)

    # ---- its parts -----------------------------------------------------------------------------------------------

    def _write(self, name: str, text: str) -> None:
        with open(os.path.join(self.run, name), "w", encoding="utf-8") as stream:
            stream.write(text)

    def _make_disk(self) -> None:
        """Make the disk image unless there is one of the right size."""
        present = os.stat(self.image) if os.path.exists(self.image) else None
        kept = present.st_blocks * 512 if present else 0
        disk = os.statvfs(self.folder)
        free = disk.f_bavail * disk.f_frsize - self._promised()
        size = disk_size(self.settings.disk, kept, free, disk.f_blocks * disk.f_frsize)
        if present and (present.st_size == size or size < self.settings.disk and present.st_size <= size):
            return
        temporary = self.image + ".new"
        with open(temporary, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.truncate(size)
        options = ("-q", "-F", "-m", "0", "-J", "size=16", "-E", "lazy_itable_init=1,nodiscard")
        code, output, errors = self.engine.tool("mkfs.ext4", *options, temporary)
        if code != 0:
            os.unlink(temporary)
            raise Unavailable("its disk cannot be made", last_lines(errors or output, 3))
        os.rename(temporary, self.image)

    def _promised(self) -> int:
        """The bytes that other environments' builds, which run now, may still write."""
        total = 0
        for folder in os.scandir(os.path.dirname(self.folder)):
            image, lock = (os.path.join(folder.path, name) for name in ("disk.img", "lock"))
            if folder.path == self.folder or not os.path.exists(image) or not os.path.exists(lock):
                continue
            with open(lock, "rb") as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    status = os.stat(image)
                    total += max(0, status.st_size - status.st_blocks * 512)
        return total

    def _configuration(self) -> dict[str, Any]:
        """The daemon's configuration: its own places, and how the machine's engine reaches registries."""
        disk = os.path.getsize(self.image)
        configuration: dict[str, Any] = {
            "hosts": ["unix://%s/docker.sock" % self.run],
            "containerd": "%s/containerd.sock" % self.run,
            "group": "root",
            "data-root": os.path.join(self.run, "data", "docker"),
            "exec-root": os.path.join(self.run, "exec"),
            "pidfile": os.path.join(self.run, "pid"),
            "cgroup-parent": self.cgroup.steps,
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "bip": STEPS,
            "mtu": self.uplink.mtu,
            "ip6tables": False,
            "userland-proxy": False,
            "log-level": "warn",
            "builder": {"gc": {"enabled": True, "defaultKeepStorage": "%dB" % (disk // 2)}},
        }
        said = engine_info(self.engine)
        registries = said.get("RegistryConfig") or {}
        if registries.get("Mirrors"):
            configuration["registry-mirrors"] = registries["Mirrors"]
        insecure = [name for name, index in (registries.get("IndexConfigs") or {}).items() if not index.get("Secure")]
        insecure += [cidr for cidr in registries.get("InsecureRegistryCIDRs") or () if cidr not in _LOOPBACK]
        if insecure:
            configuration["insecure-registries"] = insecure
        proxies = {"http-proxy": "HttpProxy", "https-proxy": "HttpsProxy", "no-proxy": "NoProxy"}
        known = {option: said.get(name) or "" for option, name in proxies.items()}
        # The engine masks passwords: with one, builds need the proxy as a build argument.
        configuration["proxies"] = {option: value for option, value in known.items() if value and "xxxxx" not in value}
        return configuration


def _network_of(pid: int) -> str:
    """The network namespace of a process; empty if it has ended."""
    try:
        return os.readlink("/proc/%d/ns/net" % pid)
    except OSError:
        return ""
