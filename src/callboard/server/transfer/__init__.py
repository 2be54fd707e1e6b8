"""Backup, restore and migration: everything a store holds, out of it and into another, through the store's contract alone."""
