"""The command line: one file a command, all alike.

`main` puts the commands together by task. What they share is `options` (what is asked), `output`
(what is printed, and the exit status), `meter` (progress), `streams` and `ending` (the terminal
and the system). A command imports heavy rooms when it is called, so that ``--help`` is quick.

A new command: a file like `verify`, and its name in `main`.
"""
