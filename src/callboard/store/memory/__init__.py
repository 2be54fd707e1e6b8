"""Rows in the memory of one process: `callboard serve --dev`, the simulation, and the model every other store is compared with."""
