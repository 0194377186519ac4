"""What people talk to: the command line, the window, the demonstration.

An app asks and shows; it computes nothing. It may import every other room, and apps do not
import each other, but for what lies beside them here (`demo`, `answer_table`).

Start with `cli.main`, which lists the commands, then `cli.predict`; or with `desktop.app`.
"""
