"""Finding rows of the tables inside entities, and putting them in their place."""

from processor.cluster.entities import Answer, Deployment, Model, ModelSpec, Replica, Version
from processor.cluster.rows import find, find_index, find_version, with_row, with_version

ENTRIES = tuple(Replica(index, "Loading", "", 0) for index in (0, 2, 5))


def version(number: int, server: str = "") -> Version:
    spec = ModelSpec("one", (), 0, 1, "", ())
    return Version(number, spec, Deployment(1, 0, 0), server, (), None, "", "", 0, 0, 0, 0)


def model(*numbers: int) -> Model:
    versions = tuple(version(number) for number in numbers)
    return Model("iris", 0, False, None, 0, 0, versions)  # noqa: FBT003 - deleted, by position


def test_a_row_is_found_by_its_first_field() -> None:
    answers = (Answer("e0", "pending", ""), Answer("e1", "failed", "x"))
    assert find(answers, "e1") is answers[1]
    assert find(answers, "e2") is None


def test_an_entry_is_found_by_its_index_and_a_version_by_its_number() -> None:
    assert find_index(ENTRIES, 2) is ENTRIES[1]
    assert find_index(ENTRIES, 1) is None
    iris = model(2, 3)
    assert find_version(iris, 3) is iris.versions[1]
    assert find_version(iris, 1) is None
    assert find_version(None, 1) is None


def test_a_row_comes_in_the_place_of_its_index() -> None:
    for index, expected in ((0, [0, 2, 5]), (1, [0, 1, 2, 5]), (2, [0, 2, 5]), (5, [0, 2, 5]), (6, [0, 2, 5, 6])):
        entry = Replica(index, "Loaded", "", 1)
        rows = with_row(ENTRIES, entry)
        assert [row.index for row in rows] == expected
        assert find_index(rows, index) is entry


def test_a_version_comes_in_the_place_of_its_number() -> None:
    for iris in (model(2), model(1, 2, 3)):
        changed = with_version(iris, version(2, "s1"))
        assert [(other.version, other.server) for other in changed.versions] == [
            (other.version, "s1" if other.version == 2 else "") for other in iris.versions
        ]
