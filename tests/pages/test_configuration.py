from processor.configuration.options import options
from processor.configuration.settings import PROJECT_DIRECTORY
from processor.reference.configuration import configuration_markdown


def test_the_configuration_page_is_what_the_settings_say() -> None:
    page = (PROJECT_DIRECTORY / "docs" / "configuration.md").read_text()
    assert page == configuration_markdown(), "run: processor config reference > docs/configuration.md"


def test_it_has_a_row_for_every_option() -> None:
    page = configuration_markdown()
    assert [option.variable for option in options() if f"| `{option.variable}`" not in page] == []
