from processor.cluster import lifecycle, pipeline_lifecycle
from processor.cluster.entities import Replica
from processor.cluster.events import EVENT_TYPES


def test_each_table_speaks_only_of_states_that_there_are() -> None:
    states = set(lifecycle.REPLICA_STATES)
    assert len(states) == 12
    for rule in lifecycle.REPORTS.values():
        assert rule.sources | rule.repeats | {rule.target} <= states
        assert not rule.sources & rule.repeats
    for table in (lifecycle.RETIREMENT, lifecycle.DRAIN):
        assert table.keys() <= states
    assert {target for pair in lifecycle.RETIREMENT.values() for target in pair} <= states
    assert set(lifecycle.DRAIN.values()) <= states
    assert dict.fromkeys(states - {"Unloaded"}, "Unloaded") == lifecycle.LOST


def test_nothing_derived_tells_the_states_of_a_quiet_report_apart() -> None:
    quiet = [rule for rule in lifecycle.REPORTS.values() if rule.quiet]
    assert {rule.target for rule in quiet} == {"Loading", "Unloading"}
    for rule in quiet:
        for state in rule.sources:
            assert tallied(state) == tallied(rule.target)
            for states in (value for value in vars(lifecycle).values() if isinstance(value, frozenset)):
                assert (state in states) == (rule.target in states)
            for table in (lifecycle.RETIREMENT, lifecycle.DRAIN, lifecycle.ROUTED, lifecycle.UNROUTABLE):
                assert table.get(state) == table.get(rule.target)
        assert (rule.measured, rule.frees, rule.reasoned) == (False, False, False)


def tallied(state: str) -> lifecycle.Tally:
    return lifecycle.tally((Replica(0, state, "", 0),))


def test_every_report_about_a_replica_has_a_rule() -> None:
    assert {name for name in EVENT_TYPES if name.startswith("ModelReplica")} == lifecycle.REPORTS.keys()


def test_every_axis_state_knows_what_to_do_when_its_last_responder_leaves() -> None:
    assert pipeline_lifecycle.RESPONDER_JOINED.keys() | {"Terminated"} == pipeline_lifecycle.LAST_RESPONDER_LEFT.keys()
    assert pipeline_lifecycle.ANSWERS_COMBINED.keys() <= pipeline_lifecycle.LAST_RESPONDER_LEFT.keys()
