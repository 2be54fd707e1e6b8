"""Consul's HTTP API as the SDK's registry, for a Consul cluster or any server with that door: `callboard.connect("consul://HOST:8500")`."""
