"""Records of an input are gone before they were read, or are to be read again: a person says so, and it goes on."""

from tests.integration.play import Play
from tests.integration.processes import command
from tests.waiting import wait_until

EVENTS = 300
GONE = 20


def test_a_processor_that_refused_a_hole_goes_on_by_itself_once_it_is_accepted(play: Play) -> None:
    lines = play.script(EVENTS)
    topic = play.stage.topics["normal"]
    first = play.stage.start()
    play.send(lines[: EVENTS // 3])
    play.wait_until_quiet()
    assert first.terminate() == 0
    play.submitter.send(lines[EVENTS // 3 : 2 * EVENTS // 3])
    position = play.store.dump().position(topic, 0)
    play.cut(topic, position + GONE)

    second = play.stage.start()
    refusal = second.wait_for_log("shard_refused")
    assert f"offsets {position} to {position + GONE - 1} are gone" in refusal["reason"]
    assert second.get("/readyz")[0] == 503
    words = ("shards", "accept-gap", "0", "--topic", "normal", "--to", str(position + GONE))
    assert command(play.stage.environment(), *words).returncode == 0
    assert play.commits_of("gap") == []
    accepted = command(play.stage.environment(), *words, "--execute")
    assert accepted.returncode == 0, accepted.stderr

    second.wait_until_ready()
    play.send(lines[2 * EVENTS // 3 :])
    metric = f'processor_input_lag{{partition="0",topic="{topic}"}} 0.0'
    wait_until(lambda: metric in second.get("/metrics")[1], what=f"{metric} is told")
    artefacts = play.assert_whole()
    (gap,) = [commit.value for commit in artefacts.commits if commit.value["kind"] == "gap"]
    assert gap["ranges"] == [{"topic": topic, "partition": 0, "from": position, "to": position + GONE, "count": 0}]
    assert gap["digest"] == gap["previous_digest"]
