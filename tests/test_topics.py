import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.topics import ROLES, KafkaTopic, TopicsInvalid, json_schema, load_topics

PROJECT = Path(__file__).resolve().parents[1]
TOPICS = PROJECT / "topics.yaml"
PRODUCTION = PROJECT / "topics.production.yaml"


def documents(path: Path = TOPICS) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def written(directory: Path, stated: list[Any]) -> Path:
    path = directory / "some.yaml"
    path.write_text(yaml.safe_dump_all(stated))
    return path


def test_the_project_has_one_topic_a_role_and_all_are_co_partitioned() -> None:
    topics = load_topics(TOPICS)
    assert {role: topics.by_role[role].name for role in ROLES} == {
        "high": "cluster.server-events",
        "normal": "cluster.control-events",
        "changes": "cluster.changes",
        "commits": "cluster.commits",
        "dead-letters": "cluster.dead-letters",
    }
    assert topics.partitions == 1
    assert {topic.partitions for topic in topics.by_role.values()} == {1}
    assert [document.metadata.name for document in topics.documents] == [t.name for t in topics.by_role.values()]


def test_the_settings_of_a_topic_are_in_the_words_of_the_brokers() -> None:
    topics = load_topics(TOPICS, PRODUCTION)
    assert topics.by_role["high"].config == {
        "cleanup.policy": "delete",
        "retention.ms": "604800000",
        "retention.bytes": "-1",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": "1048576",
        "compression.type": "producer",
        "min.insync.replicas": "2",
        "unclean.leader.election.enable": "false",
    }
    assert topics.by_role["commits"].config["retention.ms"] == "-1"


def test_production_differs_in_numbers_only() -> None:
    local, production = load_topics(TOPICS), load_topics(TOPICS, PRODUCTION)
    assert {topic.replicas for topic in local.by_role.values()} == {1}
    assert {topic.replicas for topic in production.by_role.values()} == {3}
    assert {document["metadata"]["name"] for document in documents(PRODUCTION)} == {
        topic.name for topic in local.by_role.values()
    }
    for role, topic in local.by_role.items():
        assert (production.by_role[role].schemas, production.by_role[role].key) == (topic.schemas, topic.key)


def test_a_patch_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    patch = documents(PRODUCTION)[2]
    patch["spec"] = {"config": {"retention.ms": 5}}
    topics = load_topics(TOPICS, written(tmp_path, [patch]))
    changes = topics.by_role["changes"]
    assert (changes.partitions, changes.replicas) == (1, 1)
    assert changes.config == {"cleanup.policy": "delete", "retention.ms": "5", "compression.type": "producer"}


def test_an_event_goes_to_the_topic_that_carries_it() -> None:
    topics = load_topics(TOPICS)
    assert topics.input_of("PolicyChanged").role == "high"
    assert topics.input_of("ClockTicked").role == "normal"
    with pytest.raises(TopicsInvalid, match="ModelChanged"):
        topics.input_of("ModelChanged")


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (["spec", "partitions"], 0, "document 3 (cluster.changes): spec.partitions: Input should be greater"),
        (["spec", "partitions"], "1", "document 3 (cluster.changes): spec.partitions: Input should be a valid integer"),
        (["spec", "partition"], 1, "document 3 (cluster.changes): spec.partition: Extra inputs are not permitted"),
        (["spec", "config", "retention.ms"], 1.5, "spec.config.retention.ms"),
        (["spec", "config"], None, "spec.config"),
        (["metadata", "annotations", "processor/role"], "low", "metadata.annotations.processor/role: Input should be"),
        (["metadata", "annotations", "processor/rule"], "x", "metadata.annotations.processor/rule: Extra inputs"),
        (["metadata", "name"], "Bad Name", "document 3 (Bad Name): metadata.name"),
        (["metadata", "name"], 5, "document 3: metadata.name"),
        (["metadata"], None, "document 3: metadata"),
        (["kind"], "Topic", "kind: Input should be 'KafkaTopic'"),
        (["apiVersion"], "v1", "apiVersion: Input should be 'kafka.strimzi.io/v1'"),
        (["metadata", "name"], "cluster.commits", "document 4 (cluster.commits): metadata.name: stands there twice"),
        (
            ["metadata", "annotations", "processor/role"],
            "high",
            "cluster.server-events and cluster.changes are both high",
        ),
        (["spec", "partitions"], 2, "spec.partitions: must be the same for all topics, not cluster.server-events 1"),
    ],
)
def test_an_error_names_file_document_and_field(tmp_path: Path, place: list[str], value: Any, reason: str) -> None:
    stated = documents()
    target = stated[2]
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = value
    path = written(tmp_path, stated)
    with pytest.raises(TopicsInvalid) as raised:
        load_topics(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert reason in str(raised.value)


def test_a_document_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsInvalid, match="document 2: the document"):
        load_topics(written(tmp_path, [documents()[0], ["x"]]))


def test_missing_roles_are_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsInvalid, match="no topic is changes, dead-letters"):
        load_topics(written(tmp_path, [document for index, document in enumerate(documents()) if index not in {2, 4}]))


def test_a_patch_of_an_unknown_topic_is_refused(tmp_path: Path) -> None:
    patch = documents(PRODUCTION)[0]
    patch["metadata"]["name"] = "other"
    with pytest.raises(TopicsInvalid, match=r"document 1 \(other\): metadata\.name"):
        load_topics(TOPICS, written(tmp_path, [patch]))


def test_a_patch_holds_nothing_but_the_spec(tmp_path: Path) -> None:
    with pytest.raises(TopicsInvalid, match=r"metadata\.annotations: Extra inputs"):
        load_topics(TOPICS, written(tmp_path, [documents()[0]]))


@pytest.mark.parametrize("content", [b"a: [", b"a: b: c", b"\xff\xfe"])
def test_what_is_no_yaml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(TopicsInvalid, match="no YAML"):
        load_topics(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsInvalid, match="No such file"):
        load_topics(tmp_path / "none.yaml")


def test_the_json_schema_beside_the_topics_is_current() -> None:
    shipped = json.loads((PROJECT / "topics.schema.json").read_text())
    assert shipped == json_schema()
    assert shipped["title"] == KafkaTopic.__name__
