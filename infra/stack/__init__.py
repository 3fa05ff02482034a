"""The real services as plain processes on one machine, for development and tests."""
