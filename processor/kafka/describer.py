"""Descriptions of topics, requested by a separate process, because librdkafka can abort the process that asks."""

import itertools
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from time import monotonic
from typing import IO, Any, cast

import msgspec
from confluent_kafka import KafkaError, KafkaException

from processor.kafka.connection import LOGGER, UNHEARD, KafkaConnection, not_accepted
from processor.runtime.closing import Closing

PROGRAM = Path(__file__).with_name("describing.py")
SETTINGS_PREFIX = "PROCESSOR_"
"""Of variables that are not handed on: some hold secrets, and what the process needs is written to it."""
# librdkafka ends a request at its timeout. Starting the process takes 0.1 s, on a busy machine much longer.
ANSWER_MARGIN_S = 5.0
RESTART_INTERVAL_S = 1.0
LOOK_INTERVAL_S = 0.5
END_TIMEOUT_S = 2.0
READ_BYTES = 65_536


class DescribedTopic(msgspec.Struct, frozen=True):
    """A topic that exists; `replicas` is the least of its partitions.

    `allowed` are the operations that the asking principal may do, None when that was not asked, or not told.
    """

    id: str
    partitions: int
    replicas: int
    allowed: tuple[str, ...] | None = None


Answers = Mapping[str, "Future[DescribedTopic]"]


class _Question(msgspec.Struct):
    answers: dict[str, "Future[DescribedTopic]"]
    deadline_s: float


class TopicDescriber(Closing):
    """Describes topics by name; starts its process on first use, and again if it ended. Safe from any thread."""

    def __init__(self, connection: KafkaConnection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._started_s = -RESTART_INTERVAL_S
        self._how = ""
        self._credentials: tuple[str, str] | None = None
        self._numbers = itertools.count()
        self._questions: dict[int, _Question] = {}

    def ask(
        self, names: Sequence[str], timeout_s: float, *, groups: Sequence[str] = (), rights: bool = False
    ) -> Answers:
        """Return name → answer, done within `timeout_s` and a margin; the answer to a group stands under `group:NAME`.

        `rights`: ask for the allowed operations, too; that is all that is told of a group.
        An answer's exception is a KafkaException, or InvalidRequest when librdkafka does not take a property.
        """
        asked = [*names, *(f"group:{group}" for group in groups)]
        answers: dict[str, Future[DescribedTopic]] = {name: Future() for name in asked}
        question = _Question(answers, monotonic() + timeout_s + ANSWER_MARGIN_S)
        with self._lock:
            number = next(self._numbers)
            try:
                process = self._running()
                self._renew(process)
                told = {"id": number, "names": list(names), "groups": list(groups), "rights": rights}
                _write(process, {**told, "timeout_s": timeout_s})
            except OSError as failure:  # it has just ended, or there may be no more processes
                _fail((question,), _unasked(f"the process that describes topics cannot be asked: {failure}"))
            else:
                self._questions[number] = question
        return answers

    def close(self) -> None:
        """End the process; safe to call twice. The next question starts another."""
        with self._lock:
            process, reader, self._process = self._process, self._reader, None
            self._started_s = -RESTART_INTERVAL_S
            if process is not None:
                _pipe(process.stdin).close()
        if process is not None and reader is not None:
            reader.join(END_TIMEOUT_S)
            process.kill()
            reader.join()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None:
            return self._process
        if monotonic() < self._started_s + RESTART_INTERVAL_S:
            raise BlockingIOError(f"it ended a moment ago {self._how}")
        self._started_s = monotonic()
        process = subprocess.Popen(  # noqa: S603 - this interpreter and a file of ours
            [sys.executable, "-P", str(PROGRAM)],
            env={name: value for name, value in os.environ.items() if not name.startswith(SETTINGS_PREFIX)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self._process = process
        self._reader = threading.Thread(target=self._read, args=(process,), name="topic-describer", daemon=True)
        self._reader.start()
        properties = self.connection.properties(UNHEARD, {})
        _write(process, {name: value for name, value in properties.items() if name != "error_cb"})
        return process

    def _renew(self, process: "subprocess.Popen[bytes]") -> None:
        now = self.connection.credentials()
        if now is not None and now != self._credentials:
            self._credentials = now
            _write(process, {"credentials": now})

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        """Receive answers until the process ends; end it if one is overdue."""
        descriptor, rest = _pipe(process.stdout).fileno(), b""
        readable = select.poll()
        readable.register(descriptor, select.POLLIN)
        while True:
            if not readable.poll(LOOK_INTERVAL_S * 1000):
                if self._is_overdue():
                    process.kill()
                continue
            data = os.read(descriptor, READ_BYTES)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        _pipe(process.stdout).close()
        self._ended(process, process.wait())

    def _is_overdue(self) -> bool:
        with self._lock:
            now_s = monotonic()
            return any(question.deadline_s < now_s for question in self._questions.values())

    def _take(self, reply: Mapping[str, Any]) -> None:
        if "error" in reply:
            self.connection.causes.note(KafkaError(*reply["error"]))
            return
        with self._lock:
            question = self._questions.pop(reply["id"], None)
        if question is None:  # failed already: the describer was closed
            return
        for name, outcome in reply.get("topics", {}).items():
            if len(outcome) == len(DescribedTopic.__struct_fields__):
                question.answers[name].set_result(DescribedTopic(*outcome))
            else:
                question.answers[name].set_exception(KafkaException(KafkaError(*outcome)))
        if "refused" in reply:
            _fail((question,), not_accepted(reply["refused"], self.connection.extra))

    def _ended(self, process: "subprocess.Popen[bytes]", code: int) -> None:
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        with self._lock:
            closed = self._process is not process
            questions, self._questions = list(self._questions.values()), {}
            if not closed:
                self._process, self._how = None, how
                _pipe(process.stdin).close()
        if not closed:
            LOGGER.warning("the process that describes topics ended %s; the next question starts another", how)
        _fail(questions, _unasked(f"the process that describes topics ended {how}"))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    return cast("IO[bytes]", pipe)  # asked for when the process was started


def _write(process: "subprocess.Popen[bytes]", message: Mapping[str, Any]) -> None:
    _pipe(process.stdin).write(json.dumps(message).encode() + b"\n")


def _unasked(reason: str) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._FAIL, reason))  # noqa: SLF001 - the library's own name for it


def _fail(questions: Iterable[_Question], failure: Exception) -> None:
    for question in questions:
        for answer in question.answers.values():
            answer.set_exception(failure)
