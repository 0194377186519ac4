"""Models: what one promises (card), where it comes from (store), how it runs (session)."""
