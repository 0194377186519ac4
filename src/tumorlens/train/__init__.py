"""Training: the recipe, the networks, the loop and the export. Needs the extra ``train``."""
