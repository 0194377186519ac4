"""Many files: read ahead of their use, answered in order, none stopping the rest.

It may import images, models and prediction, and knows nothing of maps, windows or the command
line. Which files are meant is `tumorlens.files.find_files`. Start with `stream`, which gives one
result a slice; `failure` is the result for a file that cannot be read.
"""
