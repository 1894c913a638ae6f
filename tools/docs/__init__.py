"""Generators from the code: tables of the README, gRPC descriptors."""
