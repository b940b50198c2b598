"""The sans-I/O engine: user calls and messages in, effects out; one writer."""
