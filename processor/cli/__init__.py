"""The command line: one module a command or group of commands, listed in `app.COMMANDS`, imported when it is named.

Data goes to stdout, everything else to stderr.
"""
