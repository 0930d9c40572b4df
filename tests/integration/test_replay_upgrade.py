"""A history with an upgrade in it, replayed by the build of before and by the build of after."""

import json

import msgspec

from processor.assembly.connections import store_client
from processor.avro.catalogue import Catalogue
from processor.cli.exits import Exit
from processor.configuration.loading import load
from processor.etcd.layout import ShardKeys
from processor.history.stored import StoredStates
from processor.kafka.connection import KafkaConnection
from processor.replay.replaying import replay_to
from processor.replay.verifying import Verifier, compare_with_store
from processor.replay.wiring import cluster_build, cluster_sources
from tests.integration.play import Play
from tests.integration.processes import command
from tests.integration.upgraded import NextMachine

EVENTS = 300


def test_an_upgrade_in_the_history_is_followed_and_compared_from_it_on(play: Play) -> None:
    lines = play.script(EVENTS)
    first = play.stage.start(BATCH__EVENTS_MAX="20")
    play.send(lines[: EVENTS // 2])
    play.wait_until_quiet()
    assert first.terminate() == 0
    later = play.stage.processor(("-m", "tests.integration.upgraded"), BATCH__EVENTS_MAX="20")
    later.start()
    upgrade = play.wait_for_commit("upgrade")["seq"]
    play.send(lines[EVENTS // 2 :])
    play.wait_until_quiet()
    assert later.terminate() == 0
    settings = load(environment=play.stage.environment()).settings
    catalogue = Catalogue.load(settings.schemas_dir)
    build = msgspec.structs.replace(cluster_build(settings, catalogue), machine=NextMachine())
    topics = dict(play.stage.topics)
    verifier = Verifier()
    sources = cluster_sources(KafkaConnection(play.stage.bootstrap), topics, catalogue, shard=0)  # type: ignore[arg-type]
    replayed = replay_to(sources, build, watch=verifier)
    assert verifier.findings == []
    assert [(one.first, one.reducer_version, one.compared) for one in verifier.stretches] == [
        (1, 1, False),
        (upgrade, 2, True),
    ]
    with store_client(settings) as client:
        keys = ShardKeys(settings.etcd.prefix, settings.app, 0)
        stored = StoredStates(client, keys, machine=build.machine, encoder=build.encoder).of_commit(replayed.seq)
    assert stored is not None
    assert list(compare_with_store(stored, replayed, build.machine)) == []
    older = command(play.stage.environment(), "replay", "--verify", "--to-seq", str(upgrade - 1), "-o", "json")
    assert older.returncode == Exit.OK, older.stderr
    report = json.loads(older.stdout)
    assert (report["compared"], report["findings"]) == (upgrade - 1, [])
