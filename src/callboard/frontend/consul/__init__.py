"""Consul's HTTP API: the door that services and tools already speak. Its README says what it serves and where it departs."""
