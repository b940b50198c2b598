"""Which children a query shows, and in which order."""
