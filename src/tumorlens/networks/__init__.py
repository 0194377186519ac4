"""Networks: how they are built and read with Keras, without being trained."""
