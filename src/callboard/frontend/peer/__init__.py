"""Member to member: how the servers of a cluster exchange messages."""
