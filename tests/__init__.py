"""Tests of dpc_lightning: the folders mirror the package."""
