"""The fault campaign: each incident of trading, brought about and shown harmless."""
