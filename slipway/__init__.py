"""Slipway: the package behind the course's notebooks and its BentoML service."""

__version__ = "0.1.0"
