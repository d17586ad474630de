"""What a notebook needs on the way from a CSV file to a released model."""
