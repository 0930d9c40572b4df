"""What a process needs around it: clock, logging, signals, files, failpoints."""
