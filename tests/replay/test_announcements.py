"""Announcements made again and compared byte by byte."""

from processor.replay.announcements import AnnouncementVerifier
from processor.replay.recording import AnnouncementLog
from processor.replay.replaying import replay_to
from processor.replay.verifying import Finding
from tests.replay.shard import Past, Shard


def _compared(shard: Shard, past: Past) -> tuple[AnnouncementVerifier, list[Finding]]:
    findings: list[Finding] = []
    changes = past.topics["changes"]
    announced = AnnouncementLog(changes, ("changes", 0)).of
    verifier = AnnouncementVerifier("app", shard.encoder, announced, findings.append, trimmed=changes.low > 0)
    replay_to(past.sources, shard.build, watch=verifier)
    return verifier, findings


def test_every_announcement_is_made_again_to_the_byte(shard: Shard, past: Past) -> None:
    verifier, findings = _compared(shard, past)
    assert findings == []
    assert (verifier.compared, verifier.gone) == (shard.head.announcements, 0)
    assert verifier.compared == len(past.topics["changes"].records)


def test_any_flipped_byte_is_found_with_its_place(shard: Shard) -> None:
    for at, record in enumerate(shard.past().topics["changes"].records):
        for byte in range(0, len(record.value or b""), 5):
            past = shard.past()
            past.topics["changes"].flip(at, byte)
            _, (finding,) = _compared(shard, past)
            assert finding.what == "announcement"
            assert f"changes[0]@{record.offset}, {(record.key or b'').decode()}: byte {byte} is " in finding.message


def test_another_key_another_header_and_another_length_are_found(shard: Shard, past: Past) -> None:
    changes = past.topics["changes"]
    changes.alter(0, key=b"model/other")
    headers = tuple((name, b"1" if name == "processor-number" else value) for name, value in changes.records[2].headers)
    changes.alter(2, headers=headers)
    changes.alter(3, value=(changes.records[3].value or b"") + b"\x00")
    _, findings = _compared(shard, past)
    said = [finding.message for finding in findings]
    assert "has key b'model/other'" in said[0]
    assert "headers {'processor-number': b'1'} differ from those of the fold" in said[1]
    assert "bytes were announced" in said[2]


def test_the_oldest_may_be_gone_but_none_after_them(shard: Shard, past: Past) -> None:
    changes = past.topics["changes"]
    changes.records = changes.records[1:]
    assert [finding.seq for finding in _compared(shard, past)[1]] == [1]
    changes.low = 1
    verifier, findings = _compared(shard, past)
    assert (findings, verifier.gone > 0, verifier.compared > 0) == ([], True, True)
    del changes.records[-1]
    _, findings = _compared(shard, past)
    assert [finding.seq for finding in findings] == [shard.head.seq]
