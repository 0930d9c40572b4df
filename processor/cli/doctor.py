"""`doctor`: checks of everything that the processor depends on."""

import msgspec

from processor.admin.doctor import check_up
from processor.admin.topics import topic_specs
from processor.cli.context import CommandContext
from processor.cli.exits import Exit
from processor.cli.options import ConfigFile, Output
from processor.cli.output import CELL_WIDTH_MAX, emit_rows, note
from processor.configuration.topics import load_topics


def doctor(*, config: ConfigFile = None, output: Output = "table") -> int:
    """Check schemas, brokers, topics, store, limits, space, clocks, and what a take-over of each shard would check.

    Nothing is owned or written, so it can run at any time. Exit 1 if a check failed.
    """
    context = CommandContext(config)
    checks = list(check_up(context.settings, load_topics(context.settings.topics_file), topic_specs(context.settings)))
    emit_rows(
        [msgspec.to_builtins(check) for check in checks], output, columns=("check", "verdict", "detail"), name="check"
    )
    for check in checks:
        if check.verdict != "ok" and output == "table" and len(check.detail) > CELL_WIDTH_MAX:
            note(f"\n{check.check}: {check.detail}")
    verdicts = [check.verdict for check in checks]
    if "unreachable" in verdicts:
        return Exit.UNREACHABLE
    failed = verdicts.count("failed")
    if failed:
        note(f"{failed} of {len(checks)} checks failed")
    return Exit.DIFFERS if failed else Exit.OK
