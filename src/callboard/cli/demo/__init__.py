"""`callboard demo`: a server, three services and a caller as real processes, and a failover to look at.

Everything is started by the demo, lives as long as it, and is ended with it, whichever way it ends.
"""
