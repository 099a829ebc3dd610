"""Files of others that come into the lake."""
