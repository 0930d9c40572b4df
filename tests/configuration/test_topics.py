import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from processor.configuration.topic_documents import KafkaTopic, TopicsInvalid, json_schema
from processor.configuration.topics import ROLES, load_topics

PROJECT = Path(__file__).resolve().parents[2]
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
        (["metadata", "name"], "cluster.commits", "document 4 (cluster.commits): metadata.name: duplicate"),
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
    with pytest.raises(TopicsInvalid, match=r"metadata\.annotations\.processor/key: Extra inputs"):
        load_topics(TOPICS, written(tmp_path, [documents()[0]]))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"a: [", "document 1, line 1, column 5: no YAML"),
        (b"a: b: c", "document 1, line 1, column 5: no YAML: mapping values are not allowed here"),
        (b"kind: Pod\n---\na:\n\tb: 1\n", "document 2, line 4, column 1: no YAML: found character '\\t'"),
        (b"a:\n  b: 1\n  b: 2\n", "document 1, line 3, column 3: no YAML: duplicate key b"),
        (b"a: 2026-13-45", "document 1: no YAML: month must be in 1..12"),
        (b"[" * 5000, "document 1: no YAML: maximum recursion depth exceeded"),
        ("a: ä".encode("latin-1"), "no UTF-8 text: byte 0xE4 at line 1, byte 4 (offset 3)"),
        ("a: b".encode("utf-16"), "it is UTF-16, it begins with FF FE"),
        ("a: b".encode("utf-16-be"), "no text: byte 0x00 at line 1, byte 1 (offset 0); is it UTF-16"),
    ],
)
def test_what_is_no_yaml_is_refused_with_the_place(tmp_path: Path, content: bytes, fault: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_bytes(content)
    with pytest.raises(TopicsInvalid) as raised:
        load_topics(path)
    assert str(raised.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(raised.value)


def as_kubernetes_has_it(document: dict[str, Any]) -> dict[str, Any]:
    """Return what `kubectl get -o yaml` prints of a topic that was applied."""
    metadata, spec = document["metadata"], document["spec"]
    return {
        **document,
        "apiVersion": "kafka.strimzi.io/v1beta2",
        "metadata": {
            **metadata,
            "namespace": "kafka",
            "labels": {"strimzi.io/cluster": "kafka", "version": 3, "empty": None},
            "annotations": {
                **metadata["annotations"],
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps(document),
                "team": 7,
            },
            "finalizers": ["strimzi.io/topic-operator"],
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "generation": 2,
            "resourceVersion": "4711",
            "uid": "6d2e0e6a-8c0f-4c8e-9d8e-0f0f0f0f0f0f",
            "ownerReferences": [],
            "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}],
        },
        "spec": {**spec, "topicName": f"Real_{metadata['name']}"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "topicName": metadata["name"]},
    }


USER = {"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaUser", "metadata": {"name": "me"}, "spec": {"quotas": {}}}


def test_topics_are_read_as_kubernetes_has_them(tmp_path: Path) -> None:
    named = [as_kubernetes_has_it(document) for document in documents()]
    foreign = {**documents()[0], "metadata": {"name": "orders", "annotations": {"team": "shop"}}}
    listed = {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [*named[:2], USER]}
    raw = {"apiVersion": "kafka.strimzi.io/v1beta2", "kind": "KafkaTopicList", "items": [named[2]]}
    path = written(tmp_path, [None, USER, listed, foreign, raw, None, *named[3:]])
    plain, topics = load_topics(TOPICS), load_topics(path)
    assert {role: topic.name for role, topic in topics.by_role.items()} == {
        role: f"Real_{topic.name}" for role, topic in plain.by_role.items()
    }
    assert {role: topic.config for role, topic in topics.by_role.items()} == {
        role: topic.config for role, topic in plain.by_role.items()
    }
    exported = as_kubernetes_has_it(
        documents(PRODUCTION)[0] | {"metadata": {"name": "cluster.commits", "annotations": {}}}
    )
    assert load_topics(path, written(tmp_path / "..", [exported])).by_role["commits"].replicas == 3


def test_a_fault_in_a_list_is_told_by_document_and_item(tmp_path: Path) -> None:
    stated = documents()
    stated[1]["spec"]["partitons"] = 1
    path = written(tmp_path, [USER, {"apiVersion": "v1", "kind": "List", "items": stated}])
    with pytest.raises(TopicsInvalid) as raised:
        load_topics(path)
    assert str(raised.value).startswith(f"{path}: document 2, item 2 (cluster.control-events): spec.partitons: ")
    assert str(raised.value).endswith("the nearest one is partitions")


def test_a_misspelt_field_is_told_rather_than_the_one_it_should_be(tmp_path: Path) -> None:
    stated = documents()
    annotations = stated[2]["metadata"]["annotations"]
    annotations["processor/roll"] = annotations.pop("processor/role")
    with pytest.raises(TopicsInvalid, match=r"processor/roll: Extra inputs .*; the nearest one is processor/role$"):
        load_topics(written(tmp_path, stated))


def test_topics_that_were_passed_over_are_told_when_a_role_is_missing(tmp_path: Path) -> None:
    stated = documents()
    del stated[2]["metadata"]["annotations"]
    with pytest.raises(TopicsInvalid, match=r"no topic is changes; passed over, .* cluster\.changes"):
        load_topics(written(tmp_path, stated))


def test_two_roles_cannot_share_a_topic(tmp_path: Path) -> None:
    stated = documents()
    stated[1]["spec"]["topicName"] = stated[0]["metadata"]["name"]
    with pytest.raises(TopicsInvalid, match=r"spec\.topicName: one topic has several roles"):
        load_topics(written(tmp_path, stated))


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "é", "x" * 250])
def test_a_name_that_kafka_refuses_is_refused(tmp_path: Path, name: str) -> None:
    stated = documents()
    stated[0]["spec"]["topicName"] = name
    with pytest.raises(TopicsInvalid, match=r"document 1 .*: spec\.topicName: "):
        load_topics(written(tmp_path, stated))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TopicsInvalid, match="No such file"):
        load_topics(tmp_path / "none.yaml")


def test_the_json_schema_beside_the_topics_is_current() -> None:
    shipped = json.loads((PROJECT / "topics.schema.json").read_text())
    assert shipped == json_schema()
    assert shipped["title"] == KafkaTopic.__name__
