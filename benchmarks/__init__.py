"""The same models behind the servers that a user would pick instead, and the load that compares them: `make bench`."""
