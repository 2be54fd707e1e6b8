"""The commands `backup`, `restore` and `migrate`."""
