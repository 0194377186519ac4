"""Training: from labelled pictures and a recipe to a run folder, and from there to a bundle.

Start in `recipe`, everything that decides a training, as data; `fit` is the loop around Keras's
own, and `run` the folder that survives interruption. `pictures` holds decoded pictures,
`batches` varies them (`augment` moves, `appearance` recolours, `paint` hides tumours), and
`evidence` teaches where a tumour is. `export` makes the bundle.

It may import every room down to the classifier, with which an export is scored, and nothing
of evaluation, reports or apps. Keras, ONNX and SciPy are imported inside functions only.
"""
