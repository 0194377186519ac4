"""Data: which labelled pictures there are, what is wrong with them, and who may train on which.

It may import what decodes pictures (`tumorlens.images`) and what comes before that; it knows
no model. Audit and download are extras: SciPy, scikit-learn and kagglehub are imported late.

Start reading at `folder` (class folders become examples) and `manifest` (the same as a table,
with hashes, groups and folds; `table` reads what other programs made of it). Then

- `split` and `folds`: what may train when what is tested;
- `survey`, `audit`: every file read once, and everything that is odd about them;
  `fingerprint`, `candidates`, `align`, `duplicates` find copies, `copies` checks how well,
  `shortcuts` and `traits` say what gives a class away;
- `published`, `download`, `check`: the public set, known by its files' hashes;
- a new layout of a set is read in `folder`, or in `table` when it is a list;
- `outlines`: tumours that somebody outlined; `phantom`: heads that are drawn.
"""
