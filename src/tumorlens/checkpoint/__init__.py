"""Other people's Keras files: their weights are read, and nothing else of them."""
