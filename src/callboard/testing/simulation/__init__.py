"""The simulation: several members, their clients and a failing engine in one process, on virtual time, from one integer.

`python -m callboard.testing.simulation --seeds 1..1000` runs a thousand of them; a seed that fails is shown with its trace and fails again
the same way. Everything a run is made of lives for that run.
"""
