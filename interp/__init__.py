"""Instruments to look inside music generation models."""
