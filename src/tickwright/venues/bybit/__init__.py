"""Bybit V5: wire structs, decoders, instruments, signing, REST, public and private sessions."""
