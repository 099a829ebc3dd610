-- Names, sources and rows. Times that bound a partition are `at`; exact prices and sizes are whole
-- units, readable by the decimals of their instrument: see the views of 0002.

CREATE TABLE tickwright.instruments (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    venue text NOT NULL,
    category text NOT NULL,
    symbol text NOT NULL,
    price_decimals smallint NOT NULL,
    size_decimals smallint NOT NULL,
    UNIQUE (venue, category, symbol, price_decimals, size_decimals)
);

CREATE TABLE tickwright.sources (
    source text PRIMARY KEY,
    committed bigint NOT NULL DEFAULT 0,
    sampled_ns bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    lost bigint NOT NULL DEFAULT 0,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- A time series: a hypertable where TimescaleDB is, else partitions of a day.
CREATE FUNCTION tickwright.make_series(name text, columns text, segment_by text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    place text;
BEGIN
    IF tickwright.layout() = 'native' THEN
        EXECUTE format('CREATE TABLE tickwright.%I (%s) PARTITION BY RANGE (at)', name, columns);
        EXECUTE format('CREATE INDEX ON tickwright.%I USING brin (at)', name);
        RETURN;
    END IF;
    SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb';
    EXECUTE format('CREATE TABLE tickwright.%I (%s)', name, columns);
    EXECUTE format(
        'SELECT %I.create_hypertable(%L::regclass, ''at'', chunk_time_interval => interval ''1 day'','
        ' create_default_indexes => false)', place, format('tickwright.%I', name));
    EXECUTE format('CREATE INDEX ON tickwright.%I USING brin (at)', name);
    EXECUTE format(
        'ALTER TABLE tickwright.%I SET (timescaledb.compress, timescaledb.compress_segmentby = %L,'
        ' timescaledb.compress_orderby = ''at'')', name, segment_by);
END $$;

-- Make the partitions that rows of these days need; nothing to do for hypertables.
CREATE FUNCTION tickwright.ensure_days(name text, days date[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one date;
    part text;
BEGIN
    IF tickwright.layout() <> 'native' THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tickwright.ensure_days'));
    FOREACH one IN ARRAY days LOOP
        part := name || to_char(one, '_YYYYMMDD');
        IF to_regclass(format('tickwright.%I', part)) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE tickwright.%I PARTITION OF tickwright.%I'
                ' FOR VALUES FROM (%L) TO (%L)',
                part, name, one::text || ' 00:00:00+00', (one + 1)::text || ' 00:00:00+00');
        END IF;
    END LOOP;
END $$;

SELECT tickwright.make_series('trade_rows', $$
    instrument_id integer NOT NULL,
    at timestamptz NOT NULL,
    received_ns bigint NOT NULL,
    -- The order of trades of one moment: microseconds x 8192 + the rank among equals.
    place bigint NOT NULL,
    price_units bigint NOT NULL,
    size_units bigint NOT NULL,
    side smallint NOT NULL,
    sequence bigint NOT NULL,
    is_block boolean NOT NULL,
    trade_id text NOT NULL
$$, 'instrument_id');

SELECT tickwright.make_series('top_rows', $$
    instrument_id integer NOT NULL,
    at timestamptz NOT NULL,
    bid_units bigint NOT NULL,
    bid_size_units bigint NOT NULL,
    ask_units bigint NOT NULL,
    ask_size_units bigint NOT NULL,
    update_id bigint NOT NULL
$$, 'instrument_id');

SELECT tickwright.make_series('level_rows', $$
    instrument_id integer NOT NULL,
    at timestamptz NOT NULL,
    side smallint NOT NULL,
    level smallint NOT NULL,
    price_units bigint NOT NULL,
    size_units bigint NOT NULL
$$, 'instrument_id');

CREATE TABLE tickwright.candle_rows (
    instrument_id integer NOT NULL,
    interval_s integer NOT NULL,
    at timestamptz NOT NULL,
    open_units bigint NOT NULL,
    high_units bigint NOT NULL,
    low_units bigint NOT NULL,
    close_units bigint NOT NULL,
    volume_units bigint NOT NULL,
    PRIMARY KEY (instrument_id, interval_s, at)
);

CREATE TABLE tickwright.funding_rows (
    instrument_id integer NOT NULL,
    funding_at timestamptz NOT NULL,
    rate_e9 bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (instrument_id, funding_at)
);

CREATE TABLE tickwright.signal_rows (
    at timestamptz NOT NULL,
    event_id bigint NOT NULL,
    strategy_id text NOT NULL,
    instrument_id integer NOT NULL,
    kind text NOT NULL,
    confidence double precision NOT NULL,
    reason text NOT NULL,
    verdict text NOT NULL,
    words text NOT NULL,
    client_id text
);
CREATE INDEX ON tickwright.signal_rows (at);

CREATE TABLE tickwright.order_rows (
    account text NOT NULL,
    order_id text NOT NULL,
    instrument_id integer NOT NULL,
    strategy_id text,
    side smallint NOT NULL,
    order_type text NOT NULL,
    price_units bigint,
    size_units bigint NOT NULL,
    filled_units bigint NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    venue_id text,
    PRIMARY KEY (account, order_id)
);

CREATE TABLE tickwright.execution_rows (
    account text NOT NULL,
    execution_id text NOT NULL,
    instrument_id integer NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    side smallint NOT NULL,
    price_units bigint NOT NULL,
    size_units bigint NOT NULL,
    fee numeric NOT NULL,
    fee_asset text NOT NULL,
    cash numeric NOT NULL,
    is_maker boolean NOT NULL,
    client_id text,
    venue_id text,
    PRIMARY KEY (account, execution_id)
);

CREATE TABLE tickwright.position_rows (
    at timestamptz NOT NULL,
    account text NOT NULL,
    strategy_id text,
    instrument text NOT NULL,
    size numeric NOT NULL,
    entry_price numeric,
    realised numeric NOT NULL,
    unrealised numeric,
    funding numeric NOT NULL
);
CREATE INDEX ON tickwright.position_rows (at);

CREATE TABLE tickwright.equity_rows (
    at timestamptz NOT NULL,
    account text NOT NULL,
    equity numeric,
    exposure numeric,
    day_loss numeric
);
CREATE INDEX ON tickwright.equity_rows (at);

CREATE TABLE tickwright.risk_rows (
    at timestamptz NOT NULL,
    event_id bigint NOT NULL,
    kind text NOT NULL,
    scope text NOT NULL,
    stage text NOT NULL,
    reason text NOT NULL,
    until_at timestamptz,
    lifted_by text NOT NULL
);
CREATE INDEX ON tickwright.risk_rows (at);
