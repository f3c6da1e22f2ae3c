"""Adapters: small trained additions to a model that stays as it is, in peft's files."""
