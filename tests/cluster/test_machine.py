import pytest

from processor.cluster.entities import Policy
from processor.cluster.machine import ClusterMachine
from processor.cluster.rejection import Rejected
from tests.cluster.world import World


def test_the_kinds_are_those_of_the_keys_in_the_order_of_changes() -> None:
    kinds = ["policy", "server", "responder", "model", "pipeline", "experiment", "failure"]
    assert list(ClusterMachine.entity_types) == kinds
    assert ClusterMachine.rejection is Rejected


def test_the_empty_state_has_a_policy_and_nothing_else() -> None:
    machine = ClusterMachine()
    assert list(machine.entities(machine.empty())) == [("policy/cluster", Policy())]
    assert machine.load([]) == machine.empty()


def test_keys_are_split_at_the_first_slash() -> None:
    world = World()
    world.responders(gateways=0)
    world.load()
    keys = [key for key, _ in world.machine.entities(world.state)]
    assert keys == ["failure/model/iris", "model/iris", "policy/cluster", "responder/dataflow_engine/e0"]
    assert world.machine.load(world.machine.entities(world.state)) == world.state


def test_an_entity_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="cat"):
        ClusterMachine().load([("cat/iris", Policy())])


def test_states_are_compared_by_their_entities() -> None:
    one, other = World(), World()
    one.connect()
    assert one.state != other.state
    other.connect()
    assert one.state == other.state
    assert one.state != "a state"
