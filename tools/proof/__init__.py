"""What `make proof` shows: faults at every point of a call, deadlines, an outage. The tests share its tables."""
