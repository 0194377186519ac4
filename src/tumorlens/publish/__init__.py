"""Publishing a model: checking a bundle, writing its pages for people, pushing it to the hub.

May import what models may, models and networks. Start reading at `verify`, then `push`.
"""
