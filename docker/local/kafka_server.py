"""Apache Kafka as one KRaft node (broker and controller in one JVM) on the loopback interface."""

import base64
import os
import shutil
import socket
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import installation
from process import ServerProcess, free_port

ANSWER_TIMEOUT_S = 2.0
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
API_VERSIONS_KEY = 18
CORRELATION_ID = 4711

# The second compiler and a parallel collector cost a short-lived server more than they give.
JVM_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    # One node gains nothing from fifty partitions of bookkeeping, and their files cost the first transaction a second.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    # A node that was killed is let in again when its old session has run out; the default makes that nine seconds.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # The default is a quarter of the heap, taken at the start.
    "log.cleaner.dedupe.buffer.size": "8388608",
}


def prepare(cache: Path, say: Callable[[str], None]) -> Path:
    """Return the JVM's argument file, made once: classes, options and an archive that halves every later start."""
    jars = installation.kafka_jars(cache, say)
    folder = cache / f"{jars.parent.name}-start"
    with installation.first_time(folder) as needed:
        if needed:
            say("kafka: making the class archive and the format template, once")
            _train(jars, folder, say)
    return folder / "jvm.args"


def command(jvm_arguments: Path, folder: Path) -> list[str]:
    """Return the command line of a node whose settings were written to `folder`."""
    # For its performance files a JVM works elsewhere for a moment, and a process is ours by where it works.
    options = [f"@{jvm_arguments}", "-XX:-UsePerfData"]
    return [installation.tool("java"), *options, "kafka.Kafka", f"{folder}/server.properties"]


def write_settings(folder: Path, ports: dict[str, int], extra: Mapping[str, str]) -> None:
    """Write the settings; `ports` has "client" and "controller", `extra` wins over ours."""
    client, controller = ports["client"], ports["controller"]
    settings = SETTINGS | {
        "listeners": f"PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{client}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "log.dirs": f"{folder}/data",
    }
    lines = (f"{name}={value}\n" for name, value in {**settings, **extra}.items())
    (folder / "server.properties").write_text("".join(lines))


def format_storage(jvm_arguments: Path, folder: Path) -> None:
    """Give a new node its identity, unless it has one.

    What the storage tool writes is the same for every node except for two random ids, so a copy of one run's result
    spares a JVM at each first start.
    """
    data = folder / "data"
    if (data / "meta.properties").exists():
        return
    shutil.copytree(jvm_arguments.parent / "formatted", data, dirs_exist_ok=True)
    identity = f"version=1\nnode.id=1\ncluster.id={_random_id()}\ndirectory.id={_random_id()}\n"
    (data / "meta.properties").write_text(identity)


def is_ready(port: int) -> bool:
    """Tell whether a broker on this port answers ApiVersions, the request every client begins with."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S) as connection:
            request = struct.pack(">hhih", API_VERSIONS_KEY, 0, CORRELATION_ID, -1)
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (CORRELATION_ID, 0)


def _train(jars: Path, folder: Path, say: Callable[[str], None]) -> None:
    """Format and run a node once in `folder`, and keep its format and the archive of the classes it loaded."""
    archive = folder / "classes.jsa"
    class_path = ":".join(str(jar) for jar in sorted(jars.glob("*.jar")))
    arguments = folder / "jvm.args"
    options = [*JVM_OPTIONS, "-cp", class_path]
    arguments.write_text("\n".join(["-XX:ArchiveClassesAtExit=" + str(archive), *options]))
    node = ServerProcess("kafka (class archive)", folder)
    ports = {"client": free_port(), "controller": free_port()}
    write_settings(folder, ports, {})
    storage_tool = ["kafka.tools.StorageTool", "format", "--cluster-id", _random_id()]
    installation.run(
        [installation.tool("java"), "-cp", class_path, *storage_tool, "--config", f"{folder}/server.properties"], folder
    )
    shutil.copytree(folder / "data", folder / "formatted")
    try:
        node.start(command(arguments, folder))
        node.wait_until(lambda: is_ready(ports["client"]), timeout_s=START_TIMEOUT_S, say=say)
    finally:
        node.stop(kill=False, timeout_s=STOP_TIMEOUT_S)
    shutil.rmtree(folder / "data")
    # Another JVM than the one that made the archive ignores it.
    sharing = [f"-XX:SharedArchiveFile={archive}", "-Xshare:auto"] if archive.exists() else []
    arguments.write_text("\n".join([*sharing, *options]))


def _random_id() -> str:
    """Return a Kafka Uuid: 16 random bytes in base64 without padding, not beginning with a dash."""
    while (text := base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")).startswith("-"):
        pass
    return text
