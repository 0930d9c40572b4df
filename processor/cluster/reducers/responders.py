"""The events of responders: they connect and disconnect."""

from collections.abc import Callable

from msgspec.structs import replace

from processor.cluster.draft import Draft
from processor.cluster.entities import PipelineVersion, Responder, RoleProgress
from processor.cluster.events import ResponderConnected, ResponderDisconnected
from processor.cluster.pipeline_lifecycle import RESPONDER_JOINED
from processor.cluster.pipeline_settlement import responders_of
from processor.cluster.role_progress import progress_of, start, with_progress, without_responder


def responder_connected(draft: Draft, event: ResponderConnected) -> None:
    """Repeat the current request of every pipeline version to all responders of the role."""
    names = responders_of(draft, event.role)
    if event.responder in names:
        return
    present = tuple(sorted((*names, event.responder)))
    draft.responders[f"{event.role}/{event.responder}"] = Responder(event.role, event.responder, event.at_ms)
    draft.role_responders = draft.role_responders.set(event.role, present)

    def joined(progress: RoleProgress) -> RoleProgress:
        operation = RESPONDER_JOINED.get(progress.state)
        return progress if operation is None else start(progress, operation, present)

    _for_each_progress(draft, event.role, joined)


def responder_disconnected(draft: Draft, event: ResponderDisconnected) -> None:
    """Drop the responder's answers; the remaining responders decide."""
    names = responders_of(draft, event.role)
    if event.responder not in names:
        return
    rest = tuple([name for name in names if name != event.responder])
    draft.responders[f"{event.role}/{event.responder}"] = None
    draft.role_responders = (
        draft.role_responders.set(event.role, rest) if rest else draft.role_responders.delete(event.role)
    )
    _for_each_progress(draft, event.role, lambda progress: without_responder(progress, event.responder, rest))


def _for_each_progress(draft: Draft, role: str, change: Callable[[RoleProgress], RoleProgress]) -> None:
    for name in sorted(draft.state.pipelines):
        pipeline = draft.state.pipelines[name]
        versions = tuple([_changed(version, role, change) for version in pipeline.versions])
        if versions != pipeline.versions:
            draft.pipelines[name] = replace(pipeline, versions=versions)


def _changed(version: PipelineVersion, role: str, change: Callable[[RoleProgress], RoleProgress]) -> PipelineVersion:
    return with_progress(version, role, change(progress_of(version, role)))
