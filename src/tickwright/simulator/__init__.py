"""A venue in a box: recordings, a seeded market, wire servers and faults on demand."""
