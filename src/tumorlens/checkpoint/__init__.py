"""Checkpoints: other people's Keras files, of which only the weights are taken.

Start in `import_keras`, which matches a file's weights with a network that is built here.
`archive` takes a ``.keras`` file apart, `config` compares how it was built, and `reader` has
`hdf5` list and read arrays in a process of its own. No network is built from a file and
nothing in it is run.

It may import networks and the export of training; nothing of reports or apps.
"""
