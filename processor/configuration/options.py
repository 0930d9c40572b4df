"""The options of the settings and their names: dotted, as environment variable, and as variable of a file."""

from collections.abc import Iterator

import msgspec
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from processor.configuration.settings import Settings
from processor.configuration.types import ValueFile

PREFIX = "PROCESSOR_"

OptionPath = tuple[str, ...]


class Option(msgspec.Struct, frozen=True):
    """One leaf of the settings."""

    path: OptionPath
    field: FieldInfo

    @property
    def name(self) -> str:
        """Dotted name, as in `batch.events_max`."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + "__".join(self.path).upper()

    @property
    def file_variable(self) -> str | None:
        """Name of the variable with the path of a file that holds the value; None where there is none."""
        marked = any(isinstance(mark, ValueFile) for mark in self.field.metadata)
        return f"{self.variable}_FILE" if marked else None

    @property
    def help(self) -> str:
        """One sentence."""
        return self.field.description or ""


def options(model: type[BaseModel] = Settings, above: OptionPath = ()) -> Iterator[Option]:
    """Yield every option, in the order of the settings."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from options(field.annotation, path)
        else:
            yield Option(path, field)
