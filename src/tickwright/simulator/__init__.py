"""A venue in a box: a simulated Bybit V5 with real recordings, a seeded market and faults on demand."""
