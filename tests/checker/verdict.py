"""The checker: every invariant over one shard's artefacts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tests.checker.announcements import agree, chained, headers, numbered
from tests.checker.artefacts import Artefacts, Published
from tests.checker.dead_letters import dead_letters
from tests.checker.epochs import epochs, fenced
from tests.checker.ranges import contiguous, exactly_once, ran, sequence, settled
from tests.checker.replay import Reference, Replay

SHOWN_MAX = 15
SHOWN_LENGTH_MAX = 600


def findings(
    artefacts: Artefacts, reference: Reference, watched: Iterable[Published] | None = None
) -> dict[str, list[str]]:
    """Return what is wrong, by the name of the invariant; nothing wrong: nothing returned."""
    checks: dict[str, Iterator[str] | list[str]] = {
        "sequence": sequence(artefacts),
        "contiguous": contiguous(artefacts),
        "exactly once": exactly_once(artefacts),
        "epochs": epochs(artefacts),
        "fenced": fenced(artefacts),
        "numbered": numbered(artefacts),
        "headers": headers(artefacts),
        "chained": chained(artefacts, reference.schemas, namespace=reference.namespace),
        "dead letters": dead_letters(artefacts),
        "replay": Replay(artefacts, reference).run(),
        "settled": settled(artefacts),
        "ran": ran(artefacts),
        "read along": iter(()) if watched is None else agree(artefacts, watched),
    }
    found = {name: list(check) for name, check in checks.items()}
    return {name: sentences for name, sentences in found.items() if sentences}


def assert_whole(artefacts: Artefacts, reference: Reference, watched: Iterable[Published] | None = None) -> None:
    """Fail with the first findings of every invariant that does not hold."""
    if lines := told(findings(artefacts, reference, watched)):
        raise AssertionError("\n".join(lines))


def told(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the first findings of every invariant as lines."""
    return [
        f"{name} ({len(sentences)}): {sentence[:SHOWN_LENGTH_MAX]}"
        for name, sentences in found.items()
        for sentence in sentences[:SHOWN_MAX]
    ]
