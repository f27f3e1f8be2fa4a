"""Interventions: what a model does when an activation is not what it would have been."""
