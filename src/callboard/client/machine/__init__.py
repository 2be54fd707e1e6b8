"""The client's decisions without its sockets: parsing, pacing, folding. Pure; time and chance are arguments."""
