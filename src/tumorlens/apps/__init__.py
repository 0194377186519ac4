"""What people talk to: the command line, the window, the demonstration.

An app asks and shows; it computes nothing. It may import every other room, and no other app but
`session`, which is what faces for people share. `demo` is the demonstration, for any of them.

Start with `cli.main`, which lists the commands, then `cli.predict`; or with `desktop.app`.
"""
