"""Tests of dpc_lightning.data."""
