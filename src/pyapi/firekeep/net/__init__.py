"""Everything that awaits on a network."""
