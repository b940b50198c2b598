"""The text on the wire: splitting, envelopes, compound hashes."""
