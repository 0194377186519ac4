"""Networks: how they are built and read with Keras, without being trained.

Start in `network`, the registry: a new network is a row there. `geometry` says where the cells
of a layer look, `weights` reads and writes safetensors, `members` joins several networks into
one, and `keras_backend` is the one door to Keras.

It may import what reads pictures, data and bundles, and nothing that trains or explains. Keras
is imported inside functions only.
"""
