"""One outage, lived through while events flow: what the processor showed, and whether it went on by itself."""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import msgspec

from tests.integration.conftest import Note
from tests.integration.play import Play
from tests.integration.processes import ProcessorProcess
from tests.integration.stage import Stage
from tests.integration.submitter import Line, Traffic
from tests.waiting import wait_for, wait_until

RECORDS_PER_S = 300
HOLD_S = 3.0
"""How long the CPU is watched once the processor said that something is away."""
BUSY_SHARE = 0.25
"""Of one core: who pauses must stay far below."""
LINES_MAX = 12
"""Of log, whatever happens in one outage; dead letters, which the events bring, apart."""
NOTICED_WITHIN_S = 30.0
BACK_WITHIN_S = 60.0


class Witness:
    """Watches one processor from the moment it is made: its log, its CPU, its readiness."""

    def __init__(self, processor: ProcessorProcess) -> None:
        self._processor = processor
        self._seen = len(processor.log.splitlines())
        self._began_s = time.monotonic()

    def passed_s(self) -> float:
        """Return how long it watches already."""
        return time.monotonic() - self._began_s

    def wait_until_not_ready(self, name: str) -> str:
        """Wait until readiness is refused for a reason with this name in it; the status must give the same reason."""

        def refusal() -> str:
            code, text = self._processor.get("/readyz")
            return text if code == HTTPStatus.SERVICE_UNAVAILABLE and name in text else ""

        reason = wait_for(refusal, bool, what=f"{name} is why it is not ready", timeout_s=NOTICED_WITHIN_S)
        assert name in json.loads(self._processor.get("/api/v1/status")[1])["shards"][0]["reason"]
        assert self._processor.get("/livez")[0] == HTTPStatus.OK
        return reason.strip()

    def busy_share(self, window_s: float) -> float:
        """Return which part of one core it uses from now on for so long."""
        stat, began_s = Path(f"/proc/{self._processor.pid}/stat"), time.monotonic()
        before = _ticks(stat)
        wait_until(lambda: time.monotonic() > began_s + window_s, what="the window is over", timeout_s=2 * window_s)
        return (_ticks(stat) - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began_s)

    def words(self) -> list[str]:
        """Return the names of what was logged, dead letters apart."""
        entries = [json.loads(line) for line in self._processor.log.splitlines()[self._seen :]]
        return [entry["event"] for entry in entries if entry["event"] != "dead_letter"]


class Ordeal(msgspec.Struct, frozen=True, kw_only=True):
    """An outage: how it begins and ends, and what is said of it: `name` in the reason, `word` in the log.

    `flows`: the events' producer is not hit. `held` is called while the service is away.
    """

    begin: Callable[[], object]
    end: Callable[[], object]
    name: str
    word: str = "paused"
    flows: bool = True
    hold_s: float = HOLD_S
    held: Callable[[], object] = lambda: None


def live_through(play: Play, processor: ProcessorProcess, lines: Sequence[Line], ordeal: Ordeal, note: Note) -> None:
    """Send events before, during and after an outage, and see the processor pause, say why, and go on by itself."""
    part = len(lines) // 3
    traffic = play.traffic(lines, records_per_s=RECORDS_PER_S)
    traffic.allow(part)
    traffic.wait_until_sent(part)
    play.wait_until_consumed()
    assert play.follower.commits, "commits happened before"
    traffic.allow(part + part // 2)
    traffic.wait_until_sent(part + part // 6)
    witness = Witness(processor)
    ordeal.begin()
    traffic.allow(2 * part)  # whatever was consumed while it began, this comes when it has begun
    reason = witness.wait_until_not_ready(ordeal.name)
    noticed_s = witness.passed_s()
    share = witness.busy_share(ordeal.hold_s)
    _assert_flow(play, traffic, 2 * part, flows=ordeal.flows)
    ordeal.held()
    committed = len(play.follower.commits)
    ordeal.end()
    ended_s = time.monotonic()
    processor.wait_until_ready(timeout_s=BACK_WITHIN_S)
    ready_s = time.monotonic() - ended_s
    traffic.allow(len(lines))
    traffic.wait_until_sent(len(lines))
    play.wait_until_consumed()
    assert len(play.follower.commits) > committed, "commits happened after"
    words = witness.words()
    note(f"not ready after {noticed_s:.1f} s, ready {ready_s:.1f} s after the end, CPU {share:.1%}; {reason}; {words}")
    assert share < BUSY_SHARE
    assert words.count(ordeal.word) == 1, words
    assert len(words) <= LINES_MAX, words


@contextmanager
def staged(name: str, bootstrap: str, endpoint: str, directory: Path, *, replicas: int = 1) -> Iterator[Play]:
    """Give a play on servers that may be gone at its end."""
    stage = Stage(name, bootstrap, endpoint, directory, replicas=replicas)
    stage.build()
    play = Play(stage)
    try:
        yield play
    finally:
        play.close()
        for process in stage.processes:
            process.end()


def _assert_flow(play: Play, traffic: Traffic, sent: int, *, flows: bool) -> None:
    if flows:
        traffic.wait_until_sent(sent)
        assert play.unconsumed() > 0, "events came while it paused"
    else:
        assert traffic.sent < sent, "the producer felt it, too"


def _ticks(stat: Path) -> int:
    """Return user and system time so far, in clock ticks; the name in the second field may hold blanks."""
    fields = stat.read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
