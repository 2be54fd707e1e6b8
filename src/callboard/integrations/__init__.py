"""What speaks to the libraries that services are made of: one module for each, needing the extra of the same name. None knows another."""
