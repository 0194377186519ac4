"""Sources: files read ahead of their use, answered in order."""
