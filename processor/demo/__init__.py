"""A living cluster played on the real topics: a client of the processor like any other.

Its actors hear announcements and answer with events. What they decide is pure: time and chance are
handed in, so that a test can ask every one of them the same question twice.
"""
