"""The service that the mobile app speaks to."""
