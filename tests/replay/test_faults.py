"""Faults in what was recorded: each is found, and named with its place."""

import msgspec
import pytest

from processor.engine.errors import InvalidRequest
from processor.engine.inputs import Record
from processor.replay.errors import LogBroken, RecordsGone
from processor.replay.recording import first_foldable
from processor.replay.replaying import Start, replay_to
from processor.replay.verifying import FINDINGS_MAX, Finding, Verifier
from tests.replay.shard import UNDERSTANDING, Past, Shard

LIMITS = {"entity_bytes_max", "value_bytes_max", "record_bytes_max"}
"""Nothing here is so large that it would matter which limits were in force."""


def _found(shard: Shard, past: Past) -> list[Finding]:
    verifier = Verifier()
    replay_to(past.sources, shard.build, watch=verifier)
    return verifier.findings


def test_any_byte_flipped_in_the_commit_log_is_found_but_those_that_nothing_else_tells(shard: Shard) -> None:
    unseen: set[str] = set()
    for at, record in enumerate(shard.past().topics["commits"].records):
        for byte in range(len(record.value or b"")):
            past = shard.past()
            past.topics["commits"].flip(at, byte)
            if _is_silent(shard, past):
                unseen |= _differing(record, past.topics["commits"].records[at])
    # names of clusters and revisions are compared with the commit before, which the first one does not have
    assert (
        unseen <= {"attempts", "guard", "previous_revision", "cluster", "previous_digest", "first_number"} | LIMITS
    ), unseen


def _is_silent(shard: Shard, past: Past) -> bool:
    try:
        return _found(shard, past) == []
    except InvalidRequest:
        return False


def _differing(one: Record, other: Record) -> set[str]:
    before, after = (msgspec.structs.asdict(UNDERSTANDING.commit(record)) for record in (one, other))
    return {name for name in before if before[name] != after[name]}


def test_a_value_altered_in_an_input_is_found_at_the_commit_that_reduced_it(shard: Shard, past: Past) -> None:
    at, record = next(
        (at, one) for at, one in enumerate(past.topics["normal"].records) if b"churn" in (one.value or b"")
    )
    past.topics["normal"].alter(at, value=(record.value or b"").replace(b"churn", b"chorn"))
    first = _found(shard, past)[0]
    assert (first.seq, first.what) == (_commit_of(shard, "normal", record.offset), "digest")
    assert first.message.startswith("recorded ")


def test_another_outcome_is_told_with_the_event_and_both_outcomes(shard: Shard, past: Past) -> None:
    past.topics["normal"].alter(0, value=b"\xc3\x01 nothing")
    outcome = next(one for one in _found(shard, past) if one.what == "outcome")
    assert "at normal[0]@0 was recorded as applied, the fold gives dead_lettered (unknown_schema" in outcome.message


def test_records_that_are_gone_are_named_and_the_first_seq_that_is_whole(shard: Shard, past: Past) -> None:
    normal = past.topics["normal"]
    normal.low = 3
    normal.records = [record for record in normal.records if record.offset >= 3]
    with pytest.raises(RecordsGone, match=r"commit \d+ reduced normal\[0\] from offset 0 on, .* that is kept is 3"):
        _found(shard, past)
    assert first_foldable(past.sources) == _commit_of(shard, "normal", 2) + 1
    assert first_foldable(shard.past().sources) == 1


def test_a_record_missing_in_between_is_named(shard: Shard, past: Past) -> None:
    del past.topics["normal"].records[1]
    with pytest.raises(
        RecordsGone, match=r"commit \d+ reduced \d+ records of normal\[0\], offsets .* are there"
    ) as told:
        _found(shard, past)
    assert told.value.seq == _commit_of(shard, "normal", 1)


def test_an_input_that_ends_too_early_is_named(shard: Shard, past: Past) -> None:
    del past.topics["high"].records[-1]
    with pytest.raises(RecordsGone, match=r"records of high\[0\]"):
        _found(shard, past)


@pytest.mark.parametrize(("gone", "said"), [((1,), "commit 3: 2 is missing"), ((1, 2), "commit 4: 2 to 3 is missing")])
def test_commits_missing_in_the_log_are_named(shard: Shard, past: Past, gone: tuple[int, ...], said: str) -> None:
    records = past.topics["commits"].records
    past.topics["commits"].records = [record for at, record in enumerate(records) if at not in gone]
    with pytest.raises(LogBroken, match=said):
        _found(shard, past)


def test_a_log_that_begins_right_behind_a_snapshot_is_enough(shard: Shard, past: Past) -> None:
    then = replay_to(past.sources, shard.build, 2)
    commits = past.topics["commits"]
    commits.low = commits.records[2].offset
    del commits.records[:2]
    verifier = Verifier()
    replayed = replay_to(past.sources, shard.build, start=Start(then.head, then.state, "then"), watch=verifier)
    assert (verifier.findings, replayed.head.digest) == ([], shard.head.digest)
    with pytest.raises(LogBroken, match="commit 3: 1 to 2 is missing"):
        _found(shard, past)


def test_a_log_that_ends_before_the_target_is_named(shard: Shard, past: Past) -> None:
    with pytest.raises(LogBroken, match=rf"commits\[0\] ends with commit {shard.head.seq}: 99 is not there"):
        replay_to(past.sources, shard.build, 99)


def test_a_commit_written_twice_counts_once(shard: Shard, past: Past) -> None:
    records = past.topics["commits"].records
    past.topics["commits"].records = [one for record in records for one in (record, record)]
    assert _found(shard, past) == []


def test_what_is_no_commit_is_named_with_its_place(shard: Shard, past: Past) -> None:
    record = past.topics["commits"].alter(0, value=past.topics["changes"].records[0].value)
    with pytest.raises(LogBroken, match=rf"commits\[0\]@{record.offset} is a processor.changes.\w+, not a commit"):
        _found(shard, past)
    past.topics["commits"].alter(0, value=b"what")
    with pytest.raises(LogBroken, match=rf"commits\[0\]@{record.offset} cannot be read"):
        _found(shard, past)


def test_only_so_many_findings_are_kept_and_all_are_counted() -> None:
    verifier = Verifier()
    for seq in range(FINDINGS_MAX + 5):
        verifier.find(Finding(seq, "digest", "differs"))
    assert (len(verifier.findings), verifier.found, verifier.agrees) == (FINDINGS_MAX, FINDINGS_MAX + 5, False)


def _commit_of(shard: Shard, topic: str, offset: int) -> int:
    """Return the commit that reduced a record."""
    past = shard.past()
    for record in past.topics["commits"].records:
        commit = past.sources.commit(record)
        if any(span.topic == topic and span.start <= offset < span.end for span in commit.ranges):
            return commit.seq
    raise AssertionError(msgspec.json.encode([topic, offset]))
