"""How good a model is: metrics with intervals, figures, reports; which epoch to take."""
