"""The web page and the service: one small app, on this computer unless told otherwise.

The way of a request, and which file knows it::

    serve      listens, ends in order                 limits    what is too much
    guard      who may ask: host, origin, token       problems  every refusal, in one form
    intake     the body, in memory                    scans     files become scans
    api        predict, explain, health, metrics      batching  many requests, one pass
    openapi    what the service says of itself        metrics   what it counts
    page       the page, with templates and static    cases     scans that pages look at
    reports    the case report of what was sent

It computes nothing: it asks a `tumorlens.Classifier`. Nothing is written to disk, and neither
pictures nor names of files are logged. It may import every room before `apps`, and of the apps
`session` and the card in words, `cli.describe`. Start with `app.make_app`; the command is
`tumorlens web`.
"""
