"""What an operator sees: metrics, drift, the log, and the prediction log."""
