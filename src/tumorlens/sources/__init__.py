"""Sources: which files are meant, read ahead of their use, in order."""
