"""Many scans: on one machine, as a stream."""
