"""Rows in an SQLite file of a locked data directory: the store of one server on one machine, and the default."""
