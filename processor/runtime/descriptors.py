"""The numbers 0, 1 and 2, kept taken where the program was started without stdin, stdout or stderr.

Otherwise the next pipe or connection gets the number, and receives what libraries in C write to stderr.
"""

import os


def keep_standard_numbers() -> None:
    """Open those of 0, 1 and 2 that are closed, before anything else opens a descriptor; stdout rejects writes."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # the first free number is this one; what is opened the wrong way fails at use as a closed one does
            os.open(os.devnull, os.O_WRONLY if number in {0, 2} else os.O_RDONLY)
