"""The command line: one file a command, all alike; `main` puts them together."""
