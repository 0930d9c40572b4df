"""The demo: simulated clients of a processor, on the real topics and through the public client library.

Its terms are those of a play. The actors (`Cast`: operator, fleet of agents, router, responders) read announcements
(`Notice`) and respond with events (`Line`). `Stage` connects them to the topics, `Show` runs processor and stage in one
process and prints the feed; the `Acts` are the stories that a watcher should see by the end.

All decisions are pure functions of actor, notice, time and random source: a seed repeats a play, and tests need no
broker.
"""
