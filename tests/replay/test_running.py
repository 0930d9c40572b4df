"""What is told of a replay."""

from processor.replay.replaying import replay_to
from processor.replay.running import document_of, lines_of, report_of, with_findings
from processor.replay.verifying import FINDINGS_MAX, Finding, Verifier
from tests.replay.shard import lived


def test_a_report_says_how_far_how_fast_and_that_all_agrees() -> None:
    shard, verifier = lived(), Verifier()
    replayed = replay_to(shard.past().sources, shard.build, watch=verifier)
    report = report_of("cluster", 0, replayed, seconds=0.5)
    assert list(lines_of(report)) == [
        f"cluster: seq 0 to {shard.head.seq}, from the beginning",
        f"{replayed.commits} commits, {replayed.events} events in 0.50 s: {replayed.events * 2} a second",
        f"digest {shard.head.digest}",
    ]
    whole = with_findings(report, verifier, live="compared at seq 5", announcements="9 compared, 0 are gone")
    assert list(lines_of(whole))[3:] == [
        f"commits 1 to {shard.head.seq}, made by version 1: compared",
        "the store: compared at seq 5",
        "announcements: 9 compared, 0 are gone",
        "all agrees",
    ]
    document = document_of(whole)
    assert (document["agrees"], document["events_per_second"]) == (True, replayed.events * 2)
    assert document["stretches"][0]["last"] == shard.head.seq


def test_findings_are_listed_and_the_rest_counted() -> None:
    shard, verifier = lived(), Verifier(first=99)
    replayed = replay_to(shard.past().sources, shard.build, watch=verifier)
    report = report_of("cluster", 0, replayed, seconds=0.0)
    nothing = list(lines_of(with_findings(report, verifier, live="", announcements="")))
    assert nothing[-2:] == [
        f"commits 1 to {shard.head.seq}, made by version 1: not compared",
        "nothing was there to be compared",
    ]
    for seq in range(FINDINGS_MAX + 1):
        verifier.find(Finding(seq, "digest", "differs"))
    lines = list(lines_of(with_findings(report, verifier, live="", announcements="")))
    assert lines[-3:] == ["commit 99: digest: differs", "and 1 findings more", "101 findings"]
