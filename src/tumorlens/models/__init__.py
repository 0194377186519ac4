"""Models: what one promises, where it comes from, how it runs.

May import errors, untrusted, progress, files, images, data and trust. Nothing here knows
what a prediction is, and nothing but `engine` imports ONNX Runtime.

Start reading at `card` (everything about a model that is no weight), then `bundle` (what it
is on disk), `store` (by name, path or hub; `packages` finds those that other packages bring)
and `session` (tensor in, logits out).

Another hub is a file beside `hub`, and its scheme a line in `store.find_bundle`.
"""
