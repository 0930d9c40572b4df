import pytest

from processor.avro.codegen import Source


def test_lines_become_a_function_with_the_names_it_is_given() -> None:
    source = Source()
    with source.block("def double(value):"):
        source.add("if value is None:", "    return nothing")
        with source.block("for part in (1, 2):"):
            source.add("value += part")
        source.add("return value")
    double = source.compile("double", "doubling", {"nothing": "none"})
    assert (double(4), double(None)) == (7, "none")
    assert double.__code__.co_filename == "<doubling>"


def test_no_name_is_used_twice() -> None:
    source = Source()
    assert len({source.name("v") for _ in range(5)} | {source.name("u")}) == 6


def test_lines_that_are_no_python_are_found_when_compiled() -> None:
    source = Source()
    source.add("def broken(:")
    with pytest.raises(SyntaxError):
        source.compile("broken", "broken", {})
