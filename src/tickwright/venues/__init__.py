"""The only rooms that know a venue's name: its wire words, sessions and ports."""
