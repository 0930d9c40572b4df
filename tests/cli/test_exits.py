import pytest

from processor.cli.exits import CommandError, Exit, code_of, guarded, invalid, unreachable, usage
from processor.engine.errors import (
    InvalidRequest,
    OutcomeUnknown,
    OwnershipLost,
    ProcessorError,
    ShardRefused,
    SinkUnclear,
    SourceUnavailable,
    StoreUnavailable,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("etcd is away"), Exit.UNREACHABLE),
        (SourceUnavailable("kafka is away"), Exit.UNREACHABLE),
        (SinkUnclear("?"), Exit.UNREACHABLE),
        (OutcomeUnknown("?"), Exit.UNREACHABLE),
        (OwnershipLost("owned elsewhere"), Exit.CONFLICT),
        (ShardRefused("restored from an older backup"), Exit.CONFLICT),
        (InvalidRequest("above the server's limit"), Exit.USAGE),
    ],
)
def test_an_operating_error_is_one_sentence_and_a_code(
    error: ProcessorError, code: Exit, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> int:
        raise error

    assert guarded(command) == code == code_of(error)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {error}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [(usage("x"), Exit.USAGE), (unreachable("x"), Exit.UNREACHABLE), (invalid("x"), Exit.INVALID_DATA)],
)
def test_a_command_says_which_code_it_ends_with(error: CommandError, code: Exit) -> None:
    def command() -> int:
        raise error

    assert guarded(command) == code


def test_an_error_without_text_is_named_by_its_class(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise OwnershipLost

    guarded(command)
    assert capsys.readouterr().err == "error: OwnershipLost\n"


def test_a_bug_is_not_hidden() -> None:
    def command() -> int:
        return 1 // 0

    with pytest.raises(ZeroDivisionError):
        guarded(command)


def test_no_answer_is_success_and_an_interrupt_is_130() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert guarded(lambda: None) == Exit.OK
    assert guarded(interrupted) == Exit.INTERRUPTED
