"""Engines that find the instances of concepts in photos."""
