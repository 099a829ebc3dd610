-- What people query: exact prices and sizes, names instead of numbers, the same in both layouts.

CREATE FUNCTION tickwright.amount(units bigint, decimals smallint)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT round(units * (10::numeric ^ -decimals), decimals) $$;

CREATE VIEW tickwright.trades AS
SELECT r.at, i.venue, i.category, i.symbol, CASE r.side WHEN 1 THEN 'buy' ELSE 'sell' END AS side,
       tickwright.amount(r.price_units, i.price_decimals) AS price,
       tickwright.amount(r.size_units, i.size_decimals) AS size,
       r.trade_id, r.sequence, r.is_block, r.received_ns, r.place
FROM tickwright.trade_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.tops AS
SELECT r.at, i.venue, i.category, i.symbol,
       CASE WHEN r.bid_size_units > 0 THEN tickwright.amount(r.bid_units, i.price_decimals) END AS bid,
       CASE WHEN r.bid_size_units > 0
            THEN tickwright.amount(r.bid_size_units, i.size_decimals) END AS bid_size,
       CASE WHEN r.ask_size_units > 0 THEN tickwright.amount(r.ask_units, i.price_decimals) END AS ask,
       CASE WHEN r.ask_size_units > 0
            THEN tickwright.amount(r.ask_size_units, i.size_decimals) END AS ask_size,
       r.update_id
FROM tickwright.top_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.levels AS
SELECT r.at, i.venue, i.category, i.symbol, CASE r.side WHEN 1 THEN 'bid' ELSE 'ask' END AS side,
       r.level, tickwright.amount(r.price_units, i.price_decimals) AS price,
       tickwright.amount(r.size_units, i.size_decimals) AS size
FROM tickwright.level_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.candles AS
SELECT r.at, i.venue, i.category, i.symbol, r.interval_s,
       tickwright.amount(r.open_units, i.price_decimals) AS open,
       tickwright.amount(r.high_units, i.price_decimals) AS high,
       tickwright.amount(r.low_units, i.price_decimals) AS low,
       tickwright.amount(r.close_units, i.price_decimals) AS close,
       tickwright.amount(r.volume_units, i.size_decimals) AS volume
FROM tickwright.candle_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.trade_candles AS
SELECT r.at, i.venue, i.category, i.symbol,
       tickwright.amount(r.open_units, i.price_decimals) AS open,
       tickwright.amount(r.high_units, i.price_decimals) AS high,
       tickwright.amount(r.low_units, i.price_decimals) AS low,
       tickwright.amount(r.close_units, i.price_decimals) AS close,
       round(r.volume_units * (10::numeric ^ -i.size_decimals), i.size_decimals) AS volume,
       r.trades
FROM tickwright.minute_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

-- Candles of any width from the minutes: tickwright.candles_of('1 hour').
CREATE FUNCTION tickwright.candles_of(width interval)
RETURNS TABLE (at timestamptz, venue text, category text, symbol text, open numeric, high numeric,
               low numeric, close numeric, volume numeric, trades numeric)
LANGUAGE sql STABLE AS $$
SELECT date_bin(width, c.at, timestamptz '2000-01-01 00:00:00+00'), c.venue, c.category, c.symbol,
       (array_agg(c.open ORDER BY c.at))[1], max(c.high), min(c.low),
       (array_agg(c.close ORDER BY c.at DESC))[1], sum(c.volume), sum(c.trades)
FROM tickwright.trade_candles c
GROUP BY 1, 2, 3, 4
$$;

CREATE VIEW tickwright.fundings AS
SELECT r.funding_at, i.venue, i.category, i.symbol, r.rate_e9 * 0.000000001 AS rate, r.at
FROM tickwright.funding_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.signals AS
SELECT r.at, r.event_id, r.strategy_id, i.venue, i.category, i.symbol, r.kind, r.confidence,
       r.reason, r.verdict, r.words, r.client_id
FROM tickwright.signal_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.orders AS
SELECT r.at, r.created_at, r.account, r.order_id, r.strategy_id, i.venue, i.category, i.symbol,
       CASE r.side WHEN 1 THEN 'buy' ELSE 'sell' END AS side, r.order_type,
       tickwright.amount(r.price_units, i.price_decimals) AS price,
       tickwright.amount(r.size_units, i.size_decimals) AS size,
       tickwright.amount(r.filled_units, i.size_decimals) AS filled,
       r.state, r.reason, r.venue_id
FROM tickwright.order_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.executions AS
SELECT r.at, r.account, r.execution_id, i.venue, i.category, i.symbol, r.kind,
       CASE r.side WHEN 1 THEN 'buy' ELSE 'sell' END AS side,
       tickwright.amount(r.price_units, i.price_decimals) AS price,
       tickwright.amount(r.size_units, i.size_decimals) AS size,
       r.fee, r.fee_asset, r.cash, r.is_maker, r.client_id, r.venue_id
FROM tickwright.execution_rows r JOIN tickwright.instruments i ON i.id = r.instrument_id;

CREATE VIEW tickwright.positions AS SELECT * FROM tickwright.position_rows;
CREATE VIEW tickwright.equity AS SELECT * FROM tickwright.equity_rows;
CREATE VIEW tickwright.risk_events AS SELECT * FROM tickwright.risk_rows;
