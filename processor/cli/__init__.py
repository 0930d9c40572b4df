"""The command line: one module a command group. Data goes to stdout, everything else to stderr.

Command modules import only what parses arguments; what does the work is imported inside the commands,
so that `processor --help` answers at once.
"""
