"""Tests with a real Ray (make test-ray)."""
