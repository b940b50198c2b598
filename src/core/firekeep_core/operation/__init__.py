"""What happened, as immutable values."""
