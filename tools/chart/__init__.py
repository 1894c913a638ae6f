"""What is generated for the chart and its README, and its archive."""
