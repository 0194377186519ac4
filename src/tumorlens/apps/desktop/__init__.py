"""The desktop window: a view model without Tk, workers, and a face in Tk."""
