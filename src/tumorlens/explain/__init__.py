"""Where the evidence lies: saliency formulas, their place in the slice, pictures of them."""
