"""The materialised view, killed at a certain statement: `KILLED_AT` says which one, 1 is the first.

python -m tests.examples_run.killed_view OPTIONS
"""

import os
import signal
import sqlite3
import sys
from itertools import count

from examples.materialised_view import follow, parse

KILLED_AT = "KILLED_AT"


def main() -> None:
    """Follow until killed."""
    arguments = parse(sys.argv[1:])
    deadly, statements = int(os.environ[KILLED_AT]), count(1)

    def trace(_statement: str) -> None:
        if next(statements) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    connection = sqlite3.connect(arguments.database, isolation_level=None)
    connection.set_trace_callback(trace)
    follow(connection, arguments)


if __name__ == "__main__":
    main()
