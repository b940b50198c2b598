"""The merge of queued writes over server state, and the events that follow from it."""
