"""Callboard: a service registry and discovery server, and the client for it.

Importing the package loads nothing but this line; the parts are imported by name (`callboard.client`, `callboard.server`).
"""

__version__ = "0.1.0"
