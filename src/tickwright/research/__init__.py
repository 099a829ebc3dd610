"""Research: sweeps over parameters, walk-forward, and statistics that know how much was tried."""
