"""From one picture to an archive: a million files into one table, in order, whatever is killed.

It may import everything up to the classifier, and knows nothing of the command line. Start with
`run.answer_archive`: it walks (`tumorlens.walk`), answers over all cores (`lanes`), writes the
rows of a format (`tables`) into parts that are whole or not there (`parts`), and joins them. Maps
lie beside (`maps`).

`ray_engine.answer_on_ray` has a cluster do the same: it cuts the archive (`blocks`) for workers
(`ray_actor`), which bring files here (`fetched`) from wherever they are (`store`), and write each
block's rows as a file of a folder (`shards`).
"""
