"""The rows of an engine that another process of the same server holds, over a pair of Unix sockets: what the workers of a server have."""
