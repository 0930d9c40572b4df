"""For other programs: encode events, decode records of any topic, wait for the outcomes of events."""
