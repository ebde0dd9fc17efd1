"""Client of Wrenn: generated messages and stubs in `wrenn.v1`."""
