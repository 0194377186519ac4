"""Training data: folders of pictures by class."""
