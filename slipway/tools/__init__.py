"""What `make` starts beside the notebooks: the service, its container and the monitor."""
