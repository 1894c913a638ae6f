"""What is generated from the code: tables of the README, descriptors of gRPC."""
