"""The errors of etcd, in classes named after the reaction to them.

The texts are etcd's own (`api/v3rpc/rpctypes`); grpc adds its own for what never reached the server.
"""

from enum import Enum

import grpc

from processor.engine.errors import (
    InvalidRequest,
    OutcomeUnknown,
    ProcessorError,
    StoreDenied,
    StoreUnavailable,
    WriteDenied,
)


class Failure(Enum):
    """Classes of errors by what to do."""

    AWAY = "pause, probe, go on by itself; a write may have been applied"
    TOKEN_EXPIRED = "nothing was applied: fetch a new token, send again"  # noqa: S105 - no secret, an explanation
    DENIED = "nothing was applied: pause, read the credentials again, go on when the right is back"
    COMPACTED = "the pinned revision is gone: start over at a newer one"
    LEASE_GONE = "the lease is dead: grant a new one"
    IMPOSSIBLE = "the same request can never succeed"


class CompactedError(Exception):
    """The requested revision has been compacted."""


class HistoryGoneError(InvalidRequest):
    """The requested revision is older than the history that the store keeps."""


class LeaseGoneError(Exception):
    """The lease named in the request has expired or was revoked."""


_ALWAYS_IMPOSSIBLE = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS,
}
_BY_TEXT = (
    ("required revision has been compacted", Failure.COMPACTED),
    ("requested lease not found", Failure.LEASE_GONE),
    ("invalid auth token", Failure.TOKEN_EXPIRED),
    ("revision of auth store is old", Failure.TOKEN_EXPIRED),
    ("user name is empty", Failure.TOKEN_EXPIRED),
    ("authentication failed", Failure.DENIED),
    ("authentication is not enabled", Failure.DENIED),
    ("user name not found", Failure.DENIED),
    ("permission denied", Failure.DENIED),
    ("not leader", Failure.AWAY),
    # grpc refuses a message above the server's receive limit with RESOURCE_EXHAUSTED, as etcd does when it is full.
    ("larger than max", Failure.IMPOSSIBLE),
)


def classify(code: grpc.StatusCode, details: str) -> Failure:
    """Return the class of an error. Total: an unknown error is AWAY, which loses and repeats nothing."""
    for text, failure in _BY_TEXT:
        if text in details:
            return failure
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return Failure.TOKEN_EXPIRED
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return Failure.DENIED
    return Failure.IMPOSSIBLE if code in _ALWAYS_IMPOSSIBLE else Failure.AWAY


def failure_of(error: grpc.RpcError) -> Failure:
    """Classify an error as the stubs raise it."""
    return classify(error.code(), error.details() or "")


def read_error(failure: Failure, message: str) -> Exception:
    """Return what a failed call that changed nothing raises."""
    if failure is Failure.DENIED:
        return StoreDenied(message)
    return _special(failure, message) or StoreUnavailable(message)


def write_error(failure: Failure, message: str) -> Exception:
    """Return what a failed write raises; without an answer its outcome is unknown.

    A denied write was not applied, but an earlier copy of it may have been.
    """
    if failure is Failure.DENIED:
        return WriteDenied(message)
    return _special(failure, message) or OutcomeUnknown(message)


def not_written(error: OutcomeUnknown, what: str) -> StoreUnavailable:
    """Return the error of a write that the caller may repeat later; `what` begins the message."""
    kind = StoreDenied if isinstance(error, WriteDenied) else StoreUnavailable
    return kind(f"{what}: {error}")


def _special(failure: Failure, message: str) -> CompactedError | LeaseGoneError | ProcessorError | None:
    match failure:
        case Failure.COMPACTED:
            return CompactedError(message)
        case Failure.LEASE_GONE:
            return LeaseGoneError(message)
        case Failure.IMPOSSIBLE:
            return InvalidRequest(message)
        case Failure.AWAY | Failure.TOKEN_EXPIRED | Failure.DENIED:
            return None


def text_of(error: grpc.RpcError) -> str:
    """Return the server's words with the status, for people."""
    return f"etcd: {error.details() or 'no details'} ({error.code().name})"
