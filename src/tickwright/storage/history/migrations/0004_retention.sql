-- How long market rows stay, and when they are compressed. Own records (orders, executions, signals,
-- positions, equity, risk events) and candles are kept.
CREATE FUNCTION tickwright.set_policy(keep interval, compress_after interval)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place text;
    name text;
BEGIN
    IF tickwright.layout() = 'native' THEN
        RETURN;
    END IF;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    FOREACH name IN ARRAY ARRAY['trade_rows', 'top_rows', 'level_rows'] LOOP
        name := format('tickwright.%I', name);
        EXECUTE format('SELECT %I.remove_retention_policy(%L, if_exists => true)', place, name);
        EXECUTE format('SELECT %I.remove_compression_policy(%L, if_exists => true)', place, name);
        IF keep IS NOT NULL THEN
            EXECUTE format('SELECT %I.add_retention_policy(%L, %L::interval)', place, name, keep);
        END IF;
        IF compress_after IS NOT NULL THEN
            EXECUTE format(
                'SELECT %I.add_compression_policy(%L, %L::interval)', place, name, compress_after);
        END IF;
    END LOOP;
    EXECUTE format(
        'SELECT %I.remove_continuous_aggregate_policy(''tickwright.minute_rows'', if_exists => true)',
        place);
    -- As far back as rows stay: sessions may be loaded late, and candles of dropped days must stay.
    EXECUTE format(
        'SELECT %I.add_continuous_aggregate_policy(''tickwright.minute_rows'','
        ' start_offset => %L::interval, end_offset => interval ''1 minute'','
        ' schedule_interval => interval ''1 minute'')', place, keep);
END $$;

-- Drop whole days older than this; in both layouts. Candles of trades stay.
CREATE FUNCTION tickwright.drop_days(before date)
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    place text;
    parent text;
    part text;
    dropped integer := 0;
    found integer;
BEGIN
    IF tickwright.layout() = 'native' THEN
        FOREACH parent IN ARRAY ARRAY['trade_rows', 'top_rows', 'level_rows'] LOOP
            FOR part IN
                SELECT c.relname FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
                WHERE h.inhparent = format('tickwright.%I', parent)::regclass
                  AND to_date(right(c.relname, 8), 'YYYYMMDD') < before
            LOOP
                EXECUTE format('DROP TABLE tickwright.%I', part);
                dropped := dropped + 1;
            END LOOP;
        END LOOP;
        RETURN dropped;
    END IF;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    FOREACH parent IN ARRAY ARRAY['trade_rows', 'top_rows', 'level_rows'] LOOP
        EXECUTE format('SELECT count(*) FROM %I.drop_chunks(%L, older_than => %L::timestamptz)',
                       place, format('tickwright.%I', parent), before::text || ' 00:00:00+00')
        INTO found;
        dropped := dropped + found;
    END LOOP;
    RETURN dropped;
END $$;
