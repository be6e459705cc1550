"""The servers of docs/cluster.md on this one machine, for the time of a test: PostgreSQL, MLflow, Ray, Slurm."""

import getpass
import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from tests.commands import wait_until

# Debian keeps servers off the PATH.
BINARIES = [*sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True), "/usr/sbin"]
PLACES = os.pathsep.join([os.environ["PATH"], *BINARIES])
# PostgreSQL refuses to be run by root; Debian's package makes this user.
SERVANT: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
LOOPBACK = "127.0.0.1"
# A job that is sent in again waits for its old credentials to expire, by default for two minutes.
SLURM_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory=8000
PartitionName=all Nodes=ALL Default=YES
"""


def installed(package: str) -> bool:
    """Whether a module can be found. Where the package that holds it is missing, the search itself raises."""
    with suppress(ModuleNotFoundError):
        return importlib.util.find_spec(package) is not None
    return False


def missing(packages: Sequence[str], programs: Sequence[str]) -> str:
    """What keeps this machine from a test; empty where nothing does."""
    lacking = [name for name in packages if not installed(name)]
    lacking += [name for name in programs if shutil.which(name, path=PLACES) is None]
    return f"docs/cluster.md says how to get {', '.join(lacking)}" if lacking else ""


def program(name: str) -> str:
    return str(shutil.which(name, path=PLACES))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return listener.getsockname()[1]


@contextmanager
def serving(command: Sequence[str], log: Path, ready: Callable[[], bool], **options: Any) -> Iterator[None]:
    """A server from its first answer to the end of the block, with all processes it has started."""
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        wait_until(lambda: ready() or process.poll() is not None, seconds=120)
        assert process.poll() is None, f"{command[0]} ended: {log.read_text()}"
        yield
    finally:
        # At SIGTERM alone PostgreSQL would wait for its clients to leave. SIGINT is ignored by what a shell has started
        # in the background, and by its children.
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        process.wait(60)
        # It may have left before what it has started.
        with suppress(AssertionError):
            wait_until(lambda: not living(process.pid), seconds=60)
        for number in living(process.pid):
            os.kill(number, signal.SIGKILL)


def living(group: int) -> list[int]:
    """The processes of a group that have not ended."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def succeeds(*command: str) -> Callable[[], bool]:
    return lambda: subprocess.run(command, capture_output=True, check=False).returncode == 0


def healthy(uri: str) -> Callable[[], bool]:
    def asked() -> bool:
        try:
            with urllib.request.urlopen(uri) as response:
                return response.status == 200
        except OSError:
            return False

    return asked


@contextmanager
def postgresql() -> Iterator[str]:
    """A new database server; the URI of its database."""
    port = str(free_port())
    with TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        if SERVANT:
            shutil.chown(folder, SERVANT["user"], SERVANT["group"])
        made = [program("initdb"), "-D", "data", "-U", "mlflow", "-A", "trust", "--no-sync"]
        subprocess.run(made, cwd=folder, check=True, stdout=subprocess.DEVNULL, **SERVANT)
        server = [program("postgres"), "-D", "data", "-k", name, "-h", LOOPBACK, "-p", port]
        answers = succeeds(program("pg_isready"), "-h", LOOPBACK, "-p", port)
        with serving(server, folder / "log", answers, cwd=folder, **SERVANT):
            yield f"postgresql+psycopg://mlflow@{LOOPBACK}:{port}/postgres"


@contextmanager
def mlflow_server(database: str, folder: Path, port: int | None = None) -> Iterator[str]:
    """An MLflow server on a database, which keeps artifacts in a folder; its URI."""
    port = port or free_port()
    uri = f"http://{LOOPBACK}:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--host", LOOPBACK, "--port", str(port)]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with serving(command, folder / "mlflow.log", healthy(f"{uri}/health"), env=environment):
        yield uri


@contextmanager
def ray_nodes(count: int) -> Iterator[str]:
    """A Ray cluster of nodes with one core each; its address."""
    port = str(free_port())
    address = f"{LOOPBACK}:{port}"
    head = ["--head", "--port", port, "--include-dashboard", "false", "--disable-usage-stats"]
    with ExitStack() as stack:
        # Not pytest's folder: the names of sockets below it would be too long.
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ray-")))
        for number in range(count):
            log = folder / f"{number}.log"
            command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus", "1"]
            command += ["--address", address] if number else head
            started = succeeds("grep", "--quiet", "Ray runtime started", str(log))
            stack.enter_context(serving(command, log, started, env={**os.environ, "RAY_TMPDIR": str(folder)}))
        yield address


@contextmanager
def slurm() -> Iterator[Path]:
    """A Slurm of this machine alone, without accounting; the file that SLURM_CONF has to name."""
    host = platform.node().partition(".")[0]
    with TemporaryDirectory(prefix="slurm-") as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "key").write_bytes(os.urandom(1024))
        (folder / "key").chmod(0o400)
        files = [f"--{kind}-file={folder / kind}" for kind in ("key", "pid", "log", "seed")]
        door = folder / "munge"
        munged = [program("munged"), "--foreground", "--force", f"--socket={door}", *files]
        stack.enter_context(serving(munged, folder / "munged.log", door.exists))
        configuration = folder / "slurm.conf"
        places = {"host": host, "folder": folder, "user": getpass.getuser(), "cores": os.cpu_count()}
        ports = {"controller": free_port(), "node": free_port()}
        configuration.write_text(SLURM_CONF.format(**places, **ports))
        client = ["env", f"SLURM_CONF={configuration}"]
        for server in ("slurmctld", "slurmd"):
            command = [program(server), "-D", "-f", str(configuration)]
            stack.enter_context(serving(command, folder / f"{server}.out", succeeds(*client, "sinfo")))
        try:
            yield configuration
        finally:
            # What a job leaves when Slurm goes before it stays for ever.
            subprocess.run([*client, "scancel", "--user", getpass.getuser()], check=False)
            wait_until(lambda: not subprocess.check_output([*client, "squeue", "--noheader"]), seconds=120)
