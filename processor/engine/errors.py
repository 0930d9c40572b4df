"""Operating errors, each named after what is done about it. A bug is no error of this tree: it crashes loudly.

ProcessorError
├── Retry                   pause, try again with back-off; nothing is known to have happened
│   ├── StoreUnavailable
│   │   └── StoreDenied
│   ├── SinkUnavailable
│   │   └── OutputContended
│   └── SourceUnavailable
├── OutcomeUnknown          the request may or may not have been applied: send the identical one again
│   └── WriteDenied
├── SinkUnclear             the output may hold any part of the transaction: new producer, tails, owner, resume
│   └── SinkFenced
├── OwnershipLost           stop owning, at once, and say nothing
├── ShardRefused            stop and wait for a person; the message states the facts and what to do
│   └── NeverRun
└── InvalidRequest          it can never succeed as it is: make it smaller, or refuse the shard
"""


class ProcessorError(Exception):
    """The root of all operating errors."""


class Retry(ProcessorError):
    """A service is away or overloaded: pause, try again with back-off, resume when it is back."""


class StoreUnavailable(Retry):
    """The store cannot be reached, has no leader, is full (NOSPACE) or asks for fewer requests."""


class StoreDenied(StoreUnavailable):
    """The store rejects our credentials or rights; resumes once they are corrected."""


class SinkUnavailable(Retry):
    """The output cannot be reached."""


class OutputContended(SinkUnavailable):
    """A newer producer of our name fenced us, though the shard is ours: leave the output to it for a while."""


class SourceUnavailable(Retry):
    """The inputs cannot be reached."""


class OutcomeUnknown(ProcessorError):
    """A write got no answer. Only the identical request, sent again, can settle it."""


class WriteDenied(OutcomeUnknown):
    """The store rejects our credentials or rights. This copy was not applied; an earlier one may have been."""


class SinkUnclear(ProcessorError):
    """A transaction ended unclear (fenced, fatal, abort required, timeout): open a new producer."""


class SinkFenced(SinkUnclear):
    """A newer producer of the same name ended the transaction, which was not past its timeout."""


class OwnershipLost(ProcessorError):
    """The shard is somebody else's, or nobody's."""


class ShardRefused(ProcessorError):
    """The shard must not be run as it stands; the message states the facts and what to do about them."""


class NeverRun(ShardRefused):
    """The shard has no head: no processor has ever run it."""

    def __init__(self) -> None:
        super().__init__("the shard has no state yet: no processor has run it")


class InvalidRequest(ProcessorError):
    """A request or setting that can never succeed as it is (above the server's limits, for example)."""
