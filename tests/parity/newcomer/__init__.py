"""Families that are not headway's own, each in one file."""
