"""Whether the models and pipelines that others use serve, and why."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from processor.cluster.kinds import SECTIONS
from processor.cluster.pipeline_settlement import pipeline_serves
from processor.cluster.state import State

_BECAUSE: Final[Mapping[tuple[str, bool], str]] = MappingProxyType(
    {
        ("model", True): "some replica takes traffic",
        ("model", False): "no replica takes traffic",
        ("pipeline", True): "some version is ready",
        ("pipeline", False): "no version is ready",
    }
)


def serving_facts(state: State, kind: str, name: str) -> dict[str, Any]:
    """Return `serving`, the latest version's `status` and `because` of a model or pipeline, which need not exist."""
    entity: Any = getattr(state, SECTIONS[kind]).get(name)
    if entity is None:
        return {"serving": False, "status": "", "because": f"there is no such {kind}"}
    status = entity.versions[-1].status
    if entity.deleted:
        return {"serving": False, "status": status, "because": "it is deleted"}
    serving = pipeline_serves(entity) if kind == "pipeline" else state.indexes.serving_views[name].serving
    return {"serving": serving, "status": status, "because": _BECAUSE[kind, serving]}
