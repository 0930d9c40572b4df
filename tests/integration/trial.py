"""One cell of the kill matrix on real servers: events flow, the fault fires, somebody goes on, all is judged."""

import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from tests.checker.artefacts import Artefacts
from tests.integration.kill_matrix import AT_TAKE_OVER, AT_THE_END, WHEN_IDLE, Cell
from tests.integration.play import Play, now_ms
from tests.integration.processes import ProcessorProcess
from tests.integration.script import avro_line, poison
from tests.integration.submitter import Line
from tests.waiting import wait_until

EVENTS = 300
RECORDS_PER_S = 200
BATCH = "20"
COMMITS_BEFORE = 3
WIDE_MODELS = 5
WIDE_CHARACTERS = 18_000
"""Less than an entity may have, more than a transaction takes of five."""
WIDE_MEMORY = 1 << 40
"""So much has no other server."""
WIDE_LOSSES = 3
FIRES_WITHIN_S = 60.0
ANSWERED_WITHIN_S = 60.0


@dataclass(frozen=True)
class Survived:
    """What a cell came to: `owned_again_s` is from the fault to the next owner's first commit, None without one."""

    events: int
    commits: int
    restarts: int
    owned_again_s: float | None

    def __str__(self) -> str:
        again = "no take-over" if self.owned_again_s is None else f"take-over {self.owned_again_s:.2f} s"
        return f"{self.events} events, {self.commits} commits, {self.restarts} restarts, {again}"


class Trial:
    """Plays a cell; the processes are those of the play's stage."""

    def __init__(self, play: Play, cell: Cell) -> None:
        self._play = play
        self._cell = cell
        self._traffic = play.traffic(_life(play, cell), records_per_s=RECORDS_PER_S)
        self._sent_before = 0
        self._restarts = 0

    def run(self) -> Survived:
        """Play it to its end. Whatever is not as it must be is an assertion that fails."""
        stricken = self._until_it_fires()
        self._sent_before = self._traffic.sent
        self._answer(stricken)
        self._traffic.allow(self._traffic.total)
        self._traffic.wait_until_sent(self._traffic.total)
        self._end_all()
        artefacts = self._play.assert_whole()
        self._assert_mode(artefacts)
        return self._survived(stricken, artefacts)

    def _until_it_fires(self) -> ProcessorProcess:
        """Return the process in which the fault has just fired, while events flow (or, for some, when none do)."""
        point = self._cell.point
        if point in AT_TAKE_OVER:
            return self._until_it_fires_at_a_take_over()
        armed = self._owner(armed=True)
        self._standby()
        share = 1 if point in WHEN_IDLE else 3
        self._traffic.allow(share * self._traffic.total // 4)
        if point in AT_THE_END:
            self._wait_for_commits()
            armed.ask_to_end()
        return self._fired(armed)

    def _until_it_fires_at_a_take_over(self) -> ProcessorProcess:
        owner = self._owner(armed=False)
        armed = self._standby(armed=True)
        self._traffic.allow(3 * self._traffic.total // 4)
        self._wait_for_commits()
        owner.kill()
        if armed is None:
            armed = self._start(armed=True)
            self._restarts += 1
            return self._fired(armed)
        self._fired(armed)
        self._replace()
        return armed

    def _fired(self, armed: ProcessorProcess) -> ProcessorProcess:
        what = f"the failpoint fires ({armed.name})"
        wait_until(lambda: armed.logged("failpoint"), what=what, timeout_s=FIRES_WITHIN_S)
        return armed

    def _answer(self, stricken: ProcessorProcess) -> None:
        """Do what an operator's machinery does: start again what has ended, let go on what was frozen."""
        match self._cell.action:
            case "kill":
                self._has_ended(stricken, -9)
            case "raise":
                self._has_ended(stricken, 1)
                assert "FailpointRaised" in stricken.log, stricken.log[-3000:]
            case "stop":
                self._thaw_when_its_lease_is_over(stricken)
        if self._cell.point in AT_THE_END and self._cell.action in {"stop", "sleep"}:
            self._has_ended(stricken, 0)
        if stricken.exit_code is not None:
            self._replace()

    def _end_all(self) -> None:
        """End the processes at once, when all is quiet: one after the other would be a take-over more."""
        self._play.wait_until_quiet()
        running = [process for process in self._play.stage.processes if process.exit_code is None]
        for process in running:
            process.wait_for_log("instances_changed")  # before it takes part, a signal is the end of it
        for process in running:
            process.ask_to_end()
        for process in running:
            self._has_ended(process, 0)

    def _thaw_when_its_lease_is_over(self, frozen: ProcessorProcess) -> None:
        epoch = self._play.store.owner_epoch()
        stat = Path(f"/proc/{frozen.pid}/stat")
        wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", what=f"{frozen.name} stands still")

        def is_over() -> bool:
            if self._cell.processes == 1:
                return self._play.store.owner_epoch() == 0
            entries = [entry for process in self._play.stage.processes for entry in process.logged("shard_taken_over")]
            return any(entry["epoch"] > epoch for entry in entries)

        wait_until(is_over, what=f"{frozen.name} owns nothing any more", timeout_s=ANSWERED_WITHIN_S)
        frozen.thaw()
        if self._cell.point not in AT_THE_END:
            frozen.wait_for_log("ownership_lost")

    def _has_ended(self, process: ProcessorProcess, code: int) -> None:
        what = f"{process.name} has ended"
        wait_until(lambda: process.exit_code is not None, what=what, timeout_s=ANSWERED_WITHIN_S)
        assert process.exit_code == code, process.log[-3000:]

    def _wait_for_commits(self) -> None:
        follower = self._play.follower
        wait_until(lambda: len(follower.commits) >= COMMITS_BEFORE, what=f"{COMMITS_BEFORE} commits are made")

    def _owner(self, *, armed: bool) -> ProcessorProcess:
        process = self._start(armed=armed)
        process.wait_until_ready()
        return process

    def _standby(self, *, armed: bool = False) -> ProcessorProcess | None:
        if self._cell.processes == 1:
            return None
        process = self._start(armed=armed)
        process.wait_for_log("instances_changed")
        return process

    def _replace(self) -> None:
        self._restarts += 1
        self._start(armed=False)

    def _start(self, *, armed: bool) -> ProcessorProcess:
        failpoints = {"FAILPOINTS": self._cell.failpoints, "TESTING": "1"} if armed else {}
        settings = {"BATCH__EVENTS_MAX": BATCH, "CLOCK__ENABLED": "false", **self._cell.settings, **failpoints}
        return self._play.stage.start(**settings)

    def _assert_mode(self, artefacts: Artefacts) -> None:
        """See in the store's history that the commits were stored in the way that this cell is about."""
        revisions = {int(one.headers["processor-revision"]) for one in artefacts.changes}
        names = [self._play.store.names(revision) for revision in sorted(revisions)]
        overflowed = any(name.startswith("delta/") for found in names for name in found)
        staged = any(
            name.count("/") == 2 and name.startswith(("outbox/", "delta/")) for found in names for name in found
        )
        assert staged == self._cell.staged
        assert overflowed == (self._cell.staged or self._cell.mode == "overflow")

    def _survived(self, stricken: ProcessorProcess, artefacts: Artefacts) -> Survived:
        cell, commits = self._cell, [commit.value for commit in artefacts.commits]
        (fired,) = stricken.logged("failpoint")
        assert (fired["point"], fired["action"]) == (cell.point, cell.action)
        fired_ms = datetime.fromisoformat(fired["timestamp"]).timestamp() * 1000
        assert self._sent_before < self._traffic.total, "events flowed afterwards"
        assert commits[0]["committed_ms"] < fired_ms < commits[-1]["committed_ms"], "commits before and afterwards"
        before = [commit["epoch"] for commit in commits if commit["committed_ms"] < fired_ms][-1]
        again_ms = [one["committed_ms"] for one in commits if one["epoch"] > before and one["committed_ms"] > fired_ms]
        moves = cell.action != "sleep" or cell.point in AT_TAKE_OVER | AT_THE_END
        assert bool(again_ms) == moves, "another owner went on, or the same one did"
        return Survived(
            events=len(artefacts.inputs),
            commits=len(commits),
            restarts=self._restarts,
            owned_again_s=(again_ms[0] - fired_ms) / 1000 if again_ms else None,
        )


def _life(play: Play, cell: Cell) -> list[Line]:
    """Return events on both lanes, and among them what this cell needs: poison, or what no transaction can hold."""
    lines = play.script(EVENTS)
    lines.insert(len(lines) // 2, next(iter(poison(lines[0]))))
    if not cell.staged:
        return lines
    wide = list(_wide(play))
    cuts = [number * len(lines) // len(wide) for number in range(len(wide) + 1)]
    parts = [lines[start:end] for start, end in pairwise(cuts)]
    return [line for part, one in zip(parts, wide, strict=True) for line in (*part[:-1], one, part[-1])]


def _wide(play: Play) -> Iterator[Line]:
    """Yield what fills one server with wide models, takes it away and brings it back: single events that touch all."""
    random = Random(1)
    server = {"server": "wide", "replica": 0}
    back = "ServerReplicaConnected", {**server, "memory": WIDE_MODELS * WIDE_MEMORY}
    told: list[tuple[str, dict[str, Any]]] = [back]
    for number in range(WIDE_MODELS):
        uri = "".join(random.choices(string.ascii_letters + string.digits, k=WIDE_CHARACTERS))
        told.append(("ModelLoadRequested", {"model": f"wide-{number}", "spec": {"uri": uri, "memory": WIDE_MEMORY}}))
    told += WIDE_LOSSES * [("ServerReplicaDisconnected", {**server, "reason": "connection lost"}), back]
    for number, (name, data) in enumerate(told):
        # all on one lane, so that they come in this order
        yield avro_line(("normal", name, data, now_ms()), f"wide-{number}", play.reference.schemas)
