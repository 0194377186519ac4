"""How good a model is, and how far its maps tell the truth, always with intervals.

It may import every room up to ``archive``; nothing here draws or writes a page, which is for
`report`. Start with `evaluation` (a model on labelled slices: `cases`, `run`, `metrics`, `leak`)
or `localise` (maps against outlined tumours: `map_measures`, `faithful`, `hide`, `sanity`).
`calibrate` makes a bundle whose confidence holds; `epochs` says which epoch of a run to take.

Another metric is a function in `metrics`; `report.evaluation` shows it.
"""
