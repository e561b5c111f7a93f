"""Tests of the systems that Outgate speaks to."""
