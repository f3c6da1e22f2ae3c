"""Attention over any layout of a batch: projections, masks, and the driver that feeds a kernel."""
