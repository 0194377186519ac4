"""Models for tumorlens, beside the default that ships with it: a folder each, and no code."""
