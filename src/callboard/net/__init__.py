"""Sockets, tasks and threads: everything that touches the network, and nothing that knows what a service is."""
