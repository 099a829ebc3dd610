-- One-minute candles of trades: a continuous aggregate where TimescaleDB is, else a table that the
-- writer keeps in the transaction of the trades. `minute_rows` is the same either way.
DO $do$
DECLARE
    place text;
BEGIN
    IF tickwright.layout() = 'native' THEN
        CREATE TABLE tickwright.minute_rows (
            instrument_id integer NOT NULL,
            at timestamptz NOT NULL,
            open_units bigint NOT NULL,
            high_units bigint NOT NULL,
            low_units bigint NOT NULL,
            close_units bigint NOT NULL,
            volume_units numeric NOT NULL,
            trades bigint NOT NULL,
            open_place bigint NOT NULL,
            close_place bigint NOT NULL,
            PRIMARY KEY (instrument_id, at)
        );
        RETURN;
    END IF;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    EXECUTE format($q$
        CREATE MATERIALIZED VIEW tickwright.minute_rows
        WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
        SELECT instrument_id,
               %1$I.time_bucket(interval '1 minute', at) AS at,
               %1$I.first(price_units, place) AS open_units,
               max(price_units) AS high_units,
               min(price_units) AS low_units,
               %1$I.last(price_units, place) AS close_units,
               sum(size_units) AS volume_units,
               count(*) AS trades
        FROM tickwright.trade_rows
        GROUP BY 1, 2
        WITH NO DATA$q$, place);
END $do$;
