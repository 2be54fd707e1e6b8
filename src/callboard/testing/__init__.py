"""What those who write parts for Callboard test them with: conformance suites. Nothing here runs in a server."""
