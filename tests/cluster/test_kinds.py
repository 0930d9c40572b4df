from processor.cli.options import kind_and_name
from processor.cluster.kinds import SECTIONS, WORDS, entities_of


def test_both_words_name_a_kind() -> None:
    assert {WORDS[word] for word in ("model", "models")} == {"model"}
    assert WORDS["policies"] == WORDS["policy"] == "policy"
    assert set(WORDS.values()) == set(SECTIONS)


def test_the_policy_is_one_entity() -> None:
    document = {"policy": {"retry_limit": 10}, "models": {"iris": {}}}
    assert entities_of(document, "policy") == {"cluster": {"retry_limit": 10}}
    assert entities_of(document, "model") == {"iris": {}}


def test_an_entity_is_named_by_two_words_or_as_lists_print_it() -> None:
    assert kind_and_name("models", "iris") == kind_and_name("model/iris", None) == ("model", "iris")
    assert kind_and_name("failure/model/iris", None) == ("failure", "model/iris")
    assert kind_and_name("servers", None) == ("server", None)
