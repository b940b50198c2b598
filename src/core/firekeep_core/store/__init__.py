"""What is on disk: its row keys, its records, and which queries it holds."""
