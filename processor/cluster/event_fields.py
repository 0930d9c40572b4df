"""The field types of events. Everything that the border checks about a single value is part of its type."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, Strict, StringConstraints, model_validator

from processor.cluster.entities import INTEGER_MAX

NAME_LENGTH_MAX: Final = 253
_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

Count = Annotated[int, Field(ge=0, le=INTEGER_MAX)]
Positive = Annotated[int, Field(ge=1, le=INTEGER_MAX)]
Expected = Annotated[int, Field(ge=-1, le=INTEGER_MAX)]
Percent = Annotated[int, Field(ge=1, le=100)]
Name = Annotated[str, StringConstraints(pattern=f"^{_NAME}$", max_length=NAME_LENGTH_MAX)]
NameOrNone = Annotated[str, StringConstraints(pattern=f"^({_NAME})?$", max_length=NAME_LENGTH_MAX)]
Text = Annotated[str, StringConstraints(min_length=0)]
"""Any text. The constraint makes the validator reject lone surrogates, which no encoding can carry."""
# Validation stops at the first wrong item: 400,000 errors of one record would cost seconds and most of a gigabyte.
Texts = Annotated[tuple[Text, ...], Strict(strict=False), FailFast()]
TextMap = dict[Text, Text]
Role = Literal["dataflow_engine", "pipeline_gateway"]
Kind = Literal["model", "pipeline"]
Join = Literal["inner", "outer", "any"]
Direction = Literal["up", "down"]


class Fields(BaseModel):
    """A group of fields: frozen, strictly typed, without unknown fields."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class LoadedModel(Fields):
    """A model version that a server replica reports as loaded."""

    model: Name
    version: Positive


class SpecFields(Fields):
    """What to load."""

    uri: Text
    requirements: Texts = ()
    memory: Count = 0
    instances: Positive = 1
    server: NameOrNone = ""
    parameters: TextMap = {}


class DeploymentFields(Fields):
    """How many replicas to load."""

    replicas: Count = 1
    min_replicas: Count = 0
    max_replicas: Count = 0

    @model_validator(mode="after")
    def _bounds(self) -> "DeploymentFields":
        if self.min_replicas > self.replicas:
            raise ValueError("min_replicas is more than replicas")
        if self.max_replicas and self.replicas > self.max_replicas:
            raise ValueError("replicas is more than max_replicas")
        return self


class StepFields(Fields):
    """One model of a pipeline and where its tensors come from."""

    name: Name
    inputs: Texts = ()
    triggers: Texts = ()
    inputs_join: Join = "inner"
    triggers_join: Join = "inner"
    join_window_ms: Count = 0
    tensor_map: TextMap = {}
    batch_size: Count = 0
    batch_window_ms: Count = 0


class OutputFields(Fields):
    """Which tensors a pipeline returns."""

    steps: Texts = ()
    join: Join = "inner"
    join_window_ms: Count = 0
    tensor_map: TextMap = {}


class CandidateFields(Fields):
    """A model or pipeline that gets a share of an experiment's traffic."""

    name: Name
    weight: Positive


class MirrorFields(Fields):
    """A model or pipeline that gets a copy of part of an experiment's traffic."""

    name: Name
    percent: Percent


LoadedModels = Annotated[tuple[LoadedModel, ...], Strict(strict=False), FailFast()]
Steps = Annotated[tuple[StepFields, ...], Strict(strict=False), FailFast()]
Candidates = Annotated[tuple[CandidateFields, ...], Strict(strict=False), FailFast()]
