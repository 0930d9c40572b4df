"""Operating errors, each named after what is done about it. A bug is no error of this tree: it crashes loudly.

ProcessorError
├── Retry               try again after a pause; nothing is known to have happened
│   ├── StoreUnavailable
│   │   └── StoreDenied
│   └── SinkUnavailable
├── OutcomeUnknown      the request may or may not have been applied: send the identical one again
│   └── WriteDenied
├── SinkUnclear         the output may hold any part of the transaction: new producer, tails, owner, resume
├── OwnershipLost       stop owning, at once, and say nothing
└── ShardRefused        stop, state the facts, wait for a person (`facts` tells what and what to do)
    └── NeverRun        there is nothing to look at yet
"""


class ProcessorError(Exception):
    """Everything below is one of these."""


class Retry(ProcessorError):
    """A service is away or overloaded: pause, probe with back-off, go on by itself when it clears."""


class StoreUnavailable(Retry):
    """The store cannot be reached, has no leader, is full (NOSPACE) or asks for fewer requests."""


class StoreDenied(StoreUnavailable):
    """The store does not know us or does not let us: goes on by itself once credentials or rights are put right."""


class SinkUnavailable(Retry):
    """The output cannot be reached."""


class OutputContended(SinkUnavailable):
    """A newer writer of our name fenced us, though the shard is ours: leave the output to it for a while."""


class SourceUnavailable(Retry):
    """The inputs cannot be reached."""


class OutcomeUnknown(ProcessorError):
    """A write got no answer. Only the identical request, sent again, may settle it."""


class WriteDenied(OutcomeUnknown):
    """The store does not know us or does not let us write. This copy was not applied; an earlier one may have been."""


class SinkUnclear(ProcessorError):
    """A transaction ended unclear (fenced, fatal, abort required, timeout): the producer is to be made anew."""


class SinkFenced(SinkUnclear):
    """A newer writer of the same name ended the transaction, which was not past its timeout."""


class OwnershipLost(ProcessorError):
    """The shard is somebody else's, or nobody's."""


class ShardRefused(ProcessorError):
    """The shard must not be run as it stands; the message states the facts and what to do."""


class NeverRun(ShardRefused):
    """The shard has no head: no processor has ever run it."""

    def __init__(self) -> None:
        super().__init__("the shard has no state yet: no processor has run it")


class InvalidRequest(ProcessorError):
    """A request or setting that can never succeed as it is (above the server's limits, for example)."""
