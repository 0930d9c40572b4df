"""Somebody else who fills the store up to its quota, and makes room again."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from etcd3.etcdrpc import rpc_pb2 as rpc
from etcd3.etcdrpc import rpc_pb2_grpc as stubs
from google.protobuf.unknown_fields import UnknownFieldSet

VALUE_BYTES = 1_000_000
QUOTA_FIELD = 12
FOLDER, FOLDER_END = b"/filler/", b"/filler0"


class Filler:
    """Writes keys of its own that compaction does not remove. `alarms_seen`: when making room.

    What it wrote is counted: etcd's own count of what is in use jumps with every batch that it writes to its file.
    """

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(endpoint)
        self._kv = stubs.KVStub(self._channel)
        self._maintenance = stubs.MaintenanceStub(self._channel)
        self.alarms_seen: set[str] = set()

    def fill(self, *, share: float = 2.0) -> None:
        """Write this part of the quota, or until the store refuses."""
        writes = int(share * self._quota_bytes()) // VALUE_BYTES
        for number in range(writes):
            put = rpc.PutRequest(key=FOLDER + b"%d" % number, value=bytes(VALUE_BYTES))
            refusal = _refusal(self._kv.Put, put)
            if refusal:
                assert "database space exceeded" in refusal
                return
        assert share < 1, "the quota was never reached"

    def make_room(self) -> None:
        """Delete and forget all that, give the room back, and clear the alarm, as an operator does."""
        revision = self._kv.DeleteRange(rpc.DeleteRangeRequest(key=FOLDER, range_end=FOLDER_END)).header.revision
        refusal = _refusal(self._kv.Compact, rpc.CompactionRequest(revision=revision, physical=True))
        assert not refusal or "compacted" in refusal
        self._maintenance.Defragment(rpc.DefragmentRequest())
        for member in self._maintenance.Alarm(rpc.AlarmRequest(action=rpc.AlarmRequest.GET)).alarms:
            self.alarms_seen.add(rpc.AlarmType.Name(member.alarm))
            disarm = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=member.memberID, alarm=member.alarm)
            self._maintenance.Alarm(disarm)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def _quota_bytes(self) -> int:
        fields: Any = UnknownFieldSet(self._maintenance.Status(rpc.StatusRequest()))
        (quota,) = [field.data for field in fields if field.field_number == QUOTA_FIELD]
        return int(quota)


def _refusal(call: Callable[[Any], object], request: Any) -> str:
    """Return what the server has against a request, empty when it did as asked."""
    try:
        call(request)
    except grpc.RpcError as error:
        return str(error)
    return ""
