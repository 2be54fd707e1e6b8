"""What Callboard thinks: the catalog, who waits for what, when something runs out. No clock, chance, socket or await below this line."""
