"""`python -m processor`."""

from processor.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
