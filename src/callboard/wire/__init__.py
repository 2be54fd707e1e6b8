"""Each protocol's bytes to values and back, shared by frontends, client and fuzzers. Nothing here lives longer than a call."""
