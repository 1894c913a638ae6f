"""What takes minutes: faults of what is around the echo, memory under attack, and that nothing grows. `make soak`."""
