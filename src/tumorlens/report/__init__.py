"""Pages and figures for people, all in one style."""
