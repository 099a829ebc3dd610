"""Market sources of the simulated venue: real recordings and a seeded synthetic market."""
