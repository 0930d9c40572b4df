"""The store port with requests that are lost, whose replies are lost, or that arrive when nobody expects them any more.

It also holds its user to the port's contract: one request at a time, built upon the last load or the last Committed.
"""

from processor.engine.errors import OutcomeUnknown, StoreUnavailable
from processor.engine.limits import Capacity
from processor.engine.values import Attempts, Commit, Committed, Conflict, HeadView, Snapshot, TrimRequest
from processor.memory.store import MemoryStore
from tests.simulation.process import LEASE_TTL_MS, Process

ANSWER_TIMEOUT_MS = 120.0
DELAY_MAX_MS = 2 * LEASE_TTL_MS


class SimulatedInFlight:
    """A request under way: each copy is carried out at a moment of its own, whatever becomes of its sender."""

    def __init__(self, store: "SimulatedStore", request: Commit | TrimRequest, name: str) -> None:
        self._store = store
        self._request = request
        self._name = name
        self._answer: list[Committed | Conflict] = []
        self._reply_ms = 0.0
        self._unknown = ""
        self._send()

    def result(self) -> Committed | Conflict:
        """Return the answer. Raises OutcomeUnknown."""
        process = self._store.process
        process.pause(max(0.0, self._reply_ms - process.stage.scheduler.now_ms))
        process.touch(f"answer to {self._name}")
        if self._unknown:
            raise OutcomeUnknown(self._unknown)
        return self._store.settled(self._answer[0])

    def again(self) -> None:
        """Send an identical copy."""
        self._store.process.touch(f"resending {self._name}")
        self._request = self._store.resent(self._request)
        self._send()

    def _send(self) -> None:
        process, stage = self._store.process, self._store.process.stage
        answer: list[Committed | Conflict] = []
        self._answer = answer
        fate = stage.faults.first("commit applied, reply lost", "commit lost", "commit delayed")
        arrival_ms = process.chance.choice((0.2, 1.0, 5.0))
        self._unknown = fate or ""
        self._reply_ms = stage.scheduler.now_ms + (ANSWER_TIMEOUT_MS if fate else arrival_ms + 0.5)
        process.tell(f"! sends {self._name}: {fate}" if fate else f"sends {self._name}")
        if fate == "commit lost":
            return
        if fate == "commit delayed":
            arrival_ms = ANSWER_TIMEOUT_MS + stage.faults.chance(fate).uniform(0, DELAY_MAX_MS)
        stage.scheduler.after(arrival_ms, lambda: answer.append(self._arrive()))

    def _arrive(self) -> Committed | Conflict:
        answer = self._store.server.carry_out(self._request)
        outcome = f"committed at {answer.revision}" if isinstance(answer, Committed) else "refused"
        self._store.process.tell(f"{self._name} is {outcome}")
        return answer


class SimulatedStore:
    """One shard as one process sees it."""

    server_type: type[MemoryStore] = MemoryStore

    def __init__(self, process: Process, capacity: Capacity) -> None:
        self.process = process
        self.server = self.server_type(process.stage.cluster, 0, capacity)
        self._ground_revision: int | None = None
        self._under_way = False

    def capacity(self) -> Capacity:
        """Return what one commit should carry at most."""
        return self.server.capacity()

    def load(self) -> Snapshot:
        """Read everything at one revision. Raises StoreUnavailable."""
        self._reach("load")
        snapshot = self.server.load()
        self._ground_revision, self._under_way = snapshot.head_revision, False
        self.process.touch("loaded")
        return snapshot

    def read_head(self) -> HeadView:
        """Read head and owner. Raises StoreUnavailable."""
        self._reach("peek")
        seen = self.server.read_head()
        self.process.touch("peeked")
        return seen

    def send(self, commit: Commit) -> SimulatedInFlight:
        """Begin a commit."""
        self.process.touch("send")
        return self._begin(commit, f"commit {commit.head.seq} ({commit.head.commit_id})")

    def trim(self, trimming: TrimRequest) -> SimulatedInFlight | None:
        """Begin to trim; None when there is nothing to do."""
        self.process.touch("tidy")
        stands = self.server.read_head().head
        idle = stands is not None and trimming.head.announced_seq <= stands.announced_seq
        if idle and not trimming.scanned_further:
            return None
        return self._begin(trimming, f"trimming up to {trimming.head.announced_seq} ({trimming.head.commit_id})")

    def try_record(self, attempts: Attempts, *, expected_revision: int, epoch: int) -> bool:
        """Put the crash counter. Raises StoreUnavailable, after which it may stand there or not."""
        self._reach("note an attempt")
        noted = self.server.try_record(attempts, expected_revision=expected_revision, epoch=epoch)
        if self.process.stage.faults.strikes("note applied, reply lost"):
            raise StoreUnavailable("note applied, reply lost")
        self.process.touch("noted an attempt")
        return noted

    def suspects(self, snapshot: Snapshot) -> tuple[str, ...]:
        """Return the keys of entities changed without the head. Raises StoreUnavailable."""
        self._reach("suspects")
        return self.server.suspects(snapshot)

    def settled(self, answer: Committed | Conflict) -> Committed | Conflict:
        """Note what the next request may build upon."""
        self._under_way = False
        self._ground_revision = answer.revision if isinstance(answer, Committed) else None
        return answer

    def resent(self, request: Commit | TrimRequest) -> Commit | TrimRequest:
        """Return the request that a resending sends: the identical one."""
        return request

    def _reach(self, what: str) -> None:
        self.process.touch(what)
        if self.process.stage.faults.strikes("store unavailable"):
            raise StoreUnavailable(f"no answer to {what}")

    def _begin(self, request: Commit | TrimRequest, name: str) -> SimulatedInFlight:
        if self._under_way:
            raise AssertionError(f"{name} is sent while another request is under way")
        if request.expected_revision != self._ground_revision:
            raise AssertionError(f"{name} is built on {request.expected_revision}, not on {self._ground_revision}")
        self._under_way = True
        return SimulatedInFlight(self, request, name)
