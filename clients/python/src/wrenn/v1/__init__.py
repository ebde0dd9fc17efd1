"""Generated messages and gRPC stubs of the public API."""
