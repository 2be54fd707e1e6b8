"""DNS: services, nodes and addresses as names, for everything that can resolve one. README.md says how names are made and what is set."""
