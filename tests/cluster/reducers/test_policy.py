from tests.cluster.world import World


def test_a_policy_replaces_the_policy_and_an_equal_one_is_nothing_to_do() -> None:
    world = World()
    assert world.policy() == "unchanged"
    assert world.policy(pack_servers=True) == "applied"
    assert world.document["policy"]["pack_servers"] is True
    assert world.policy() == "unchanged"
