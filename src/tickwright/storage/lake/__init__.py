"""A lake of Parquet files: what the market said and what we did, for backtests and research."""
