"""What a request passes before it is answered: the connection, its limits, tokens, and the one shape of errors."""
