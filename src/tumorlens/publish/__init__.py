"""Publishing a model: checking a bundle, writing its card for people, pushing it to the hub."""
