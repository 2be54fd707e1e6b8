"""`callboard run`: any process as an instance of a service, without a line of code in it."""
