"""Immutable values: keys, paths, nodes, JSON, hashes and server values."""
