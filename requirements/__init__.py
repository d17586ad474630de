"""The locks, and the environments that are made from them."""
