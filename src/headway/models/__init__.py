"""Whole models: a family's backbone with a head, and how they come from files and go back."""
