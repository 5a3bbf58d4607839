"""The report page: one file that recomputes every number in the reader's browser."""
