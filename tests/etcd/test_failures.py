import grpc
import pytest

from processor.engine.errors import InvalidRequest, OutcomeUnknown, StoreDenied, StoreUnavailable, WriteDenied
from processor.etcd.failures import CompactedError, Failure, LeaseGoneError, classify, read_error, write_error

CODE = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "details", "expected"),
    [
        (CODE.UNAVAILABLE, "etcdserver: no leader", Failure.AWAY),
        (CODE.UNAVAILABLE, "etcdserver: request timed out", Failure.AWAY),
        (CODE.UNAVAILABLE, "failed to connect to all addresses", Failure.AWAY),
        (CODE.DEADLINE_EXCEEDED, "Deadline Exceeded", Failure.AWAY),
        (CODE.CANCELLED, "", Failure.AWAY),
        (CODE.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", Failure.AWAY),
        (CODE.RESOURCE_EXHAUSTED, "etcdserver: too many requests", Failure.AWAY),
        (CODE.FAILED_PRECONDITION, "etcdserver: not leader", Failure.AWAY),
        (CODE.UNKNOWN, "something new", Failure.AWAY),
        (CODE.INVALID_ARGUMENT, "etcdserver: too many operations in txn request", Failure.IMPOSSIBLE),
        (CODE.INVALID_ARGUMENT, "etcdserver: request is too large", Failure.IMPOSSIBLE),
        (CODE.RESOURCE_EXHAUSTED, "grpc: received message larger than max (9 vs. 8)", Failure.IMPOSSIBLE),
        (CODE.PERMISSION_DENIED, "etcdserver: permission denied", Failure.DENIED),
        (CODE.PERMISSION_DENIED, "something new", Failure.DENIED),
        (CODE.FAILED_PRECONDITION, "etcdserver: authentication is not enabled", Failure.DENIED),
        (CODE.INVALID_ARGUMENT, "etcdserver: authentication failed, invalid user ID or password", Failure.DENIED),
        (CODE.FAILED_PRECONDITION, "etcdserver: user name not found", Failure.DENIED),
        (CODE.OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision", Failure.IMPOSSIBLE),
        (CODE.OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted", Failure.COMPACTED),
        (CODE.NOT_FOUND, "etcdserver: requested lease not found", Failure.LEASE_GONE),
        (CODE.UNAUTHENTICATED, "etcdserver: invalid auth token", Failure.TOKEN_EXPIRED),
        (CODE.INVALID_ARGUMENT, "etcdserver: revision of auth store is old", Failure.TOKEN_EXPIRED),
        (CODE.INVALID_ARGUMENT, "etcdserver: user name is empty", Failure.TOKEN_EXPIRED),
    ],
)
def test_errors_are_classed_by_what_to_do_about_them(code: grpc.StatusCode, details: str, expected: Failure) -> None:
    assert classify(code, details) is expected


@pytest.mark.parametrize(
    ("failure", "read", "write"),
    [
        (Failure.AWAY, StoreUnavailable, OutcomeUnknown),
        (Failure.TOKEN_EXPIRED, StoreUnavailable, OutcomeUnknown),
        (Failure.DENIED, StoreDenied, WriteDenied),
        (Failure.IMPOSSIBLE, InvalidRequest, InvalidRequest),
        (Failure.COMPACTED, CompactedError, CompactedError),
        (Failure.LEASE_GONE, LeaseGoneError, LeaseGoneError),
    ],
)
def test_an_unanswered_read_may_be_repeated_and_an_unanswered_write_is_unknown(
    failure: Failure, read: type[Exception], write: type[Exception]
) -> None:
    assert type(read_error(failure, "why")) is read
    assert type(write_error(failure, "why")) is write
