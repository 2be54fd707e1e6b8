"""The one door to the catalog: submit, read, watch. The driver in here is the only loop that drives the pure core."""
