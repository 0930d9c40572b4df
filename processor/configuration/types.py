"""The types of the settings, and secrets that are read from files."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, StringConstraints

from processor.runtime import addresses
from processor.runtime.files import text_of


class ValueFile:
    """Marks an option whose value may be read from a file, named by the variable with the suffix `_FILE`."""


class SecretFromFile(SecretStr):
    """A secret read from a file, which may be rotated while the process runs."""

    def __init__(self, secret_value: str, path: Path) -> None:
        super().__init__(secret_value)
        self._path = path

    def reread(self) -> str:
        """Return the current content of the file, without the line's end. Raises Unreadable."""
        return text_of(self._path).rstrip("\r\n")


ClusterName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=253)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Split = BeforeValidator(addresses.split_list)
Endpoint = Annotated[str, AfterValidator(addresses.endpoint)]
Brokers = Annotated[str, AfterValidator(addresses.brokers)]
ListenAddress = Annotated[str, AfterValidator(addresses.listen_address)]
ServerUrl = Annotated[str, AfterValidator(addresses.server_url)]
Secret = Annotated[SecretStr | None, ValueFile()]


class Group(BaseModel):
    """A table of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def current_value(secret: SecretStr | None) -> str | None:
    """Return a secret in clear text, reread from its file if it has one; None if unset. Raises Unreadable."""
    if isinstance(secret, SecretFromFile):
        return secret.reread()
    return secret.get_secret_value() if secret is not None else None
