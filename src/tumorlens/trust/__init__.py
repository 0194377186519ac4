"""How far an answer can be trusted: temperature, prediction sets, novelty.

It may import ``images`` and ``data``, and knows no model: everything takes plain arrays. Start
with `prediction_set` and `picture_check`, which every answer passes; `temperature`, `conformal`
and `novelty` fit what `tumorlens calibrate` writes, every group weighing alike (`weighting`).
Another novelty score goes into `novelty`, and its file into the bundle.
"""
