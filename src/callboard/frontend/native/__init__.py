"""The native API: what the SDK, the command line and the console speak."""
