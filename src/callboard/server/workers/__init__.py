"""Several processes of one server: the one that was started holds the engine and leads, its workers serve the same ports beside it."""
