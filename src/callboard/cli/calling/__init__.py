"""`callboard call`: HTTP calls of a service as a program with the SDK would make them."""
