"""What `make` starts beside the service: the container and the monitor."""
