"""Where the evidence lies: saliency formulas, their place in the slice, pictures of them.

It may import every room up to ``sources``, and takes a classifier by a protocol. At the last
layer NumPy is enough; inner layers need Keras, imported late. Start with `cam` (the formulas)
and `explainer` (from a question to an `explanation`); `place` lays cells over pixels, `overlay`
draws, `inner` looks into the network.

A new saliency method is a formula in `cam`, or in `perturb` when it changes the picture.
"""
