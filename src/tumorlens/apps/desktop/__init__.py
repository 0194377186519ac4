"""The window, in Tk: what draws. What it knows and can do is `tumorlens.apps.session`.

`window.Window` is where to start reading: it builds the parts, shows what a `ViewModel` says
has changed, and hands on what the person at it wants; `commands` lists all that with its keys.
`app` opens it. `theme` and `drawn` are the look; `picture_view` and `sight` the slice.

A new shortcut is a row in `commands`.

It may import every room before `apps`, and `apps.session`.
"""
