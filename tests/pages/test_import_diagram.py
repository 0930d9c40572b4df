from tests.pages.import_diagram import BLOCK, PAGE, imports, reduced, with_diagram


def test_the_diagram_shows_the_imports_as_they_are() -> None:
    page = PAGE.read_text()
    assert len(BLOCK.findall(page)) == 1
    assert with_diagram(page) == page, "make diagrams"


def test_arrows_that_follow_from_others_are_left_out() -> None:
    graph = {"a": frozenset("bcd"), "b": frozenset("c"), "c": frozenset("d"), "d": frozenset[str]()}
    assert reduced(graph) == [("a", "b"), ("b", "c"), ("c", "d")]


def test_nothing_imports_what_imports_it() -> None:
    graph = imports()
    assert [(name, target) for name in graph for target in graph[name] if name in graph[target]] == []
