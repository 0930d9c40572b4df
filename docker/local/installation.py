"""Fetches and builds the servers once, through the package managers as they are configured on this machine.

Everything lands in one cache folder, a folder a server and version, and counts as installed when its `complete` mark is
there; a lock keeps two installations apart. Apache Kafka comes as its own jars through Maven, etcd is built through the
Go module proxy. Addresses of registries are the package managers' business.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from process import LOG_TAIL_LINES, ServiceError

KAFKA_VERSION = "4.4.0"
SLF4J_VERSION = "1.7.36"
ETCD_VERSION = "3.7.3"
BUILD_TIMEOUT_S = 1800

POM = f"""<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>services</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <!-- The command line tools; their own dependencies would bring Kafka Connect and a web server. -->
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""

Say = Callable[[str], None]


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return where installed servers are kept: PROCESSOR_TEST_SERVICES_CACHE, else the user's cache folder."""
    chosen = environment.get("PROCESSOR_TEST_SERVICES_CACHE")
    if chosen:
        return Path(chosen).resolve()
    caches = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches).resolve() / "processor-services"


def kafka_jars(cache: Path, say: Say) -> Path:
    """Return the folder of Kafka's jars, fetching them when they are not there yet."""
    folder = cache / f"kafka-{KAFKA_VERSION}"
    with first_time(folder) as needed:
        if needed:
            say(f"kafka {KAFKA_VERSION}: fetching its jars through Maven, once")
            (folder / "pom.xml").write_text(POM)
            goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder / 'jars'}"]
            run([tool("mvn"), "-q", "-B", "-f", str(folder / "pom.xml"), *goal], folder)
    return folder / "jars"


def etcd_program(cache: Path, say: Say) -> Path:
    """Return the etcd program, building it (and etcdctl beside it) when it is not there yet."""
    folder = cache / f"etcd-{ETCD_VERSION}"
    with first_time(folder) as needed:
        if needed:
            say(f"etcd {ETCD_VERSION}: building it from its Go module, once (about a minute)")
            _build_etcd(folder)
    return folder / "etcd"


def _build_etcd(folder: Path) -> None:
    packages = {"etcd": "go.etcd.io/etcd/server/v3", "etcdctl": "go.etcd.io/etcd/etcdctl/v3"}
    go = tool("go")
    run([go, "mod", "init", "local/services"], folder)
    run([go, "get", *(f"{package}@v{ETCD_VERSION}" for package in packages.values())], folder)
    for program, package in packages.items():
        run([go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / program), package], folder)


def tool(name: str) -> str:
    """Return the path of a program that must be on this machine."""
    hints = {
        "mvn": "Apache Maven (Debian: apt-get install maven)",
        "go": "Go 1.24 or newer (see go.dev/doc/install; Debian: apt-get install golang)",
        "java": "a Java 17 or newer runtime (Debian: apt-get install default-jdk-headless)",
    }
    home = os.environ.get("JAVA_HOME")
    if name == "java" and home and (Path(home) / "bin" / "java").exists():
        return str(Path(home) / "bin" / "java")
    path = shutil.which(name)
    if path is None:
        raise ServiceError(f"'{name}' is not on the PATH; install {hints[name]} and try again")
    return path


def run(command: Sequence[str], folder: Path) -> None:
    """Run a package manager or tool in `folder`; raise ServiceError with the end of its output when it fails."""
    # A cgo-free program runs everywhere; a workspace file above the cache must not take part.
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        tail = "\n".join(done.stdout.splitlines()[-LOG_TAIL_LINES:])
        raise ServiceError(f"'{' '.join(command)}' failed with {done.returncode}:\n{tail}")


@contextmanager
def first_time(folder: Path) -> Iterator[bool]:
    """Yield whether `folder` must be filled, alone in doing so; mark it complete afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = folder / "complete"
    if mark.exists():
        yield False
        return
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if mark.exists():  # somebody else was faster
            yield False
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield True
        mark.touch()
