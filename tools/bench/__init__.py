"""What an echo costs, beside others, measured in one run: `make bench`."""
