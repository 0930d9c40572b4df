from tests.cluster.world import World


def test_what_came_and_went_within_a_batch_is_no_change() -> None:
    world = World()
    before = world.machine.begin(world.state)
    world.state = before
    world.connect()
    world.disconnect()
    assert world.machine.diff(before, world.state) == ()
    assert world.state == before
    assert world.state is not before


def test_a_begun_state_has_the_same_contents_and_begins_only_once() -> None:
    world = World()
    world.connect()
    begun = world.machine.begin(world.state)
    assert begun == world.state
    assert begun is not world.state
    assert world.machine.begin(begun) is begun
