"""`python -m processor`, and the program `processor`: signals first, then everything that takes time to import."""

import sys

from processor.signals import listen


def main() -> None:
    """Run the command line of this process."""
    listen(sys.argv[1:])
    from processor.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
