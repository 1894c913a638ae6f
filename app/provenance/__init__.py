"""Where a request came from, by what it says itself: whose it is, through whom it came, in which trace."""
