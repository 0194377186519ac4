"""Pictures: what they are, and how they become slices."""
