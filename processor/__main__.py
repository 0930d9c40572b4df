"""`python -m processor` and the program `processor`: file descriptors and signals first, then the slow imports."""

import sys

from processor.runtime.descriptors import keep_standard_numbers
from processor.runtime.signals import listen


def main() -> None:
    """Run the command line of this process."""
    keep_standard_numbers()
    listen(sys.argv[1:])
    from processor.cli.app import main as run  # noqa: PLC0415 - slow, and descriptors and signals come first

    run()


if __name__ == "__main__":
    main()
