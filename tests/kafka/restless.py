"""A broker that is killed, frozen and fenced, and a process that asks it all the while as a running one does.

    python -m tests.kafka.restless --minutes 20 [--seed N] [--in-process]

Ends with what was done and how often the process that asks, or the one it asks by, was ended. `--in-process` asks as
releases up to 0.1 did: `describe_cluster` in the process itself, which is started again each time that it ends.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import wait
from pathlib import Path
from threading import Event
from time import monotonic

from confluent_kafka.admin import AdminClient, NewTopic

from processor.engine.errors import SourceUnavailable
from processor.kafka.broker_probe import BrokerProbe
from processor.kafka.connection import KafkaConnection
from processor.kafka.describer import TopicDescriber
from processor.kafka.topic_ids import TopicIds
from tests.local_servers import LocalServer

TOPICS = ("restless-1", "restless-2")
ASK_INTERVAL_S = 0.02
# The broker says later that it lives than its controller believes it: it is fenced every other second.
FENCED = ("broker.session.timeout.ms=1000", "broker.heartbeat.interval.ms=2000")
FROZEN_S = (1.0, 4.0, 10.0)


class Asking:
    """A process that asks, and how often it had to be started."""

    def __init__(self, address: str, told: Path, *, in_process: bool) -> None:
        self._told = told
        self._line = [sys.executable, "-m", __spec__.name if __spec__ else "tests.kafka.restless", "--ask", address]
        self._line += ["--in-process"] if in_process else []
        self.ended: Counter[int] = Counter()
        self._start()

    def look(self) -> None:
        """Count it and start another if it has ended."""
        if self._process.poll() is not None:
            self._take()
            self._start()

    def end(self) -> None:
        self._process.terminate()
        self._take()

    def counts(self) -> Counter[str]:
        """Return how often what was told so far."""
        return Counter(self._told.read_text().splitlines())

    def _take(self) -> None:
        self.ended[self._process.wait()] += 1

    def _start(self) -> None:
        with self._told.open("a") as told:
            self._process = subprocess.Popen(self._line, stdout=told, stderr=subprocess.DEVNULL)


def ask(address: str, *, in_process: bool) -> None:
    """Ask until ended; a line an answer."""
    if in_process:
        client = AdminClient({"bootstrap.servers": address})
        while True:
            failure = client.describe_cluster(request_timeout=3).exception()
            tell("failed" if failure else "answered")
            pause(ASK_INTERVAL_S)
    describer = TopicDescriber(KafkaConnection(address))
    ids = TopicIds(describer, timeout_s=3.0, interval_s=ASK_INTERVAL_S)
    reach = BrokerProbe(describer, TOPICS, ask_interval_s=ASK_INTERVAL_S, timeout_s=3.0)
    known: dict[str, str] = {}
    while True:
        try:
            known = known or ids.read(TOPICS)
            news = ids.verify()
        except SourceUnavailable as failure:
            news = str(failure)
        if news is not None:
            tell("the describer ended" if "SIG" in news else "failed" if news or reach.silent_s() else "answered")
        pause(ASK_INTERVAL_S / 2)


def strike(server: LocalServer, chance: random.Random) -> str:
    """Do something to the broker; it runs again afterwards."""
    what = chance.choice(("kill", "restart", "freeze", "fenced"))
    if what == "kill":
        server.kill()
        server.start()
    elif what == "restart":
        server.stop()
        server.start()
    elif what == "freeze":
        server.pause()
        pause(chance.choice(FROZEN_S))
        server.resume()
    pause(chance.uniform(1.0, 5.0))
    return what


def main() -> None:
    """Strike until the time is up, then tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--in-process", action="store_true")
    parser.add_argument("--ask", metavar="ADDRESS")
    options = parser.parse_args()
    if options.ask:
        ask(options.ask, in_process=options.in_process)
    chance, done = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        server = LocalServer("kafka", Path(directory), FENCED)
        server.start()
        try:
            make_topics(server.address)
            asking = Asking(server.address, Path(directory) / "told", in_process=options.in_process)
            until_s = monotonic() + 60 * options.minutes
            while monotonic() < until_s:
                done[strike(server, chance)] += 1
                asking.look()
            asking.end()
        finally:
            server.kill()
        tell(f"{options.minutes} min: {dict(done)}; {dict(asking.counts())}; ended (by signal): {dict(asking.ended)}")


def make_topics(address: str) -> None:
    """Make the topics; a broker that is fenced is asked again."""
    admin = AdminClient({"bootstrap.servers": address})
    while len(admin.list_topics(timeout=10).topics.keys() & set(TOPICS)) < len(TOPICS):
        made = admin.create_topics([NewTopic(name, 1, 1) for name in TOPICS])
        wait(made.values(), 30)


def pause(seconds: float) -> None:
    """Let the world go on."""
    Event().wait(seconds)


def tell(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
