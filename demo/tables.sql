-- A loyalty programme of two tenants over the two years that end at `until`, made from the variables seed, until and
-- events. Every value is a hash of row, column and seed: no random state, so no dependence on threads or order.

-- Hashed twice: the low bits of one hash of several values are those of its parts, and columns would follow each other.
CREATE TEMP MACRO roll(id, salt, sides) AS CAST(hash(hash(id, salt, getvariable('seed'))) % sides AS BIGINT);
CREATE TEMP MACRO pick(id, salt, choices) AS choices[1 + roll(id, salt, len(choices))];
CREATE TEMP MACRO finish() AS epoch_us(CAST(getvariable('until') AS TIMESTAMP));
CREATE TEMP MACRO span() AS CAST(2 * 365 * 86400000000 AS BIGINT);
-- The row's share of the two years, in order of id, and a little off so that ids and stamps do not run in step.
CREATE TEMP MACRO begun(id, salt, total) AS
    finish() - span() + CAST((id - 1) * (span() // total) AS BIGINT) + roll(id, salt, span() // total);
-- A stamp that is not before `until` would be a fact of the future: then it is the row's own time.
CREATE TEMP MACRO stamp(born, changed) AS make_timestamptz(CASE WHEN changed < finish() THEN changed ELSE born END);
-- Four of five customers are Acme's; their facts follow them.
CREATE TEMP MACRO tenant_of(customer) AS CASE WHEN roll(customer, 'tenant', 100) < 80 THEN 'acme' ELSE 'globex' END;
-- The customers' facts lean towards the low ids: a few buy much, many little.
CREATE TEMP MACRO somebody(id, salt, total) AS
    1 + CAST(floor(pow(roll(id, salt, 1000000) / 1000000.0, 1.6) * total) AS BIGINT);

SET VARIABLE customers = greatest(getvariable('events') // 25, 10);
SET VARIABLE receipts = greatest(getvariable('events') * 3 // 10, 10);
SET VARIABLE products = 800;
SET VARIABLE notes = [
    '', 'called back', 'Zoë said "merci"', 'two' || chr(10) || 'lines', 'carriage' || chr(13) || chr(10) || 'return',
    'semi;colon, comma', '積分が足りない 🎁', 'l''été, "déjà vu"', ' spaces around ', 'tab' || chr(9) || 'stop', '=1+1',
    'NULL', 'a \ backslash', 'مرحبا', 'e' || chr(769) || ' composed', repeat('long ', 60)
];

CREATE TABLE customers AS
SELECT
    i AS id,
    tenant_of(i) AS tenant,
    pick(i, 'first', ['Ana', 'Zoë', 'Noor', 'José', 'Mia', 'Lars', 'Siân', 'Yuki', 'Omar', 'Eve']) AS first_name,
    pick(i, 'last', ['O''Neill', 'Müller', 'de la Cruz', 'Nguyễn', 'Smith', 'Łukasz', 'Rossi', 'Kaya']) AS last_name,
    pick(i, 'gender', ['female', 'female', 'male', 'male', 'other', '', NULL]) AS gender,
    'customer' || i || '@example.com' AS email,
    CASE WHEN roll(i, 'phone', 10) > 1 THEN '0' || (600000000 + roll(i, 'number', 99999999)) END AS phone,
    pick(i, 'tier', ['bronze', 'bronze', 'bronze', 'silver', 'silver', 'gold']) AS tier,
    CASE WHEN roll(i, 'birthday', 12) > 0 THEN DATE '1940-02-29' + CAST(roll(i, 'age', 24000) AS INTEGER) END AS birthday,
    CAST(roll(i, 'balance', 90000000) - 1000000 AS DECIMAL(18, 4)) / 10000 AS balance,
    make_timestamptz(begun(i, 'created', getvariable('customers'))) AS created_at,
    stamp(
        begun(i, 'created', getvariable('customers')),
        begun(i, 'created', getvariable('customers')) + roll(i, 'updated', span())
    ) AS updated_at
FROM range(1, getvariable('customers') + 1) AS series (i);

ALTER TABLE customers ALTER balance SET DATA TYPE DECIMAL(18, 4);

CREATE TABLE products AS
SELECT
    i AS id,
    'SKU-' || lpad(CAST(i AS VARCHAR), 5, '0') AS sku,
    pick(i, 'kind', ['Coffee', 'Tea', 'Crème', 'Bread', 'Soap', 'Lamp']) || ' ' || i AS name,
    pick(i, 'category', ['food', 'home', 'care', NULL]) AS category,
    CAST((99 + roll(i, 'price', 9900)) / 100.0 AS DECIMAL(12, 2)) AS price
FROM range(1, getvariable('products') + 1) AS series (i);

CREATE TABLE receipt_lines AS
WITH lines AS (
    SELECT
        r.i AS receipt_id,
        l.j AS line,
        1 + roll(r.i * 10 + l.j, 'product', getvariable('products')) AS product_id,
        1 + roll(r.i * 10 + l.j, 'quantity', 4) AS quantity
    FROM range(1, getvariable('receipts') + 1) AS r (i)
    CROSS JOIN range(1, 6) AS l (j)
    WHERE l.j <= 1 + roll(r.i, 'lines', 5)
)
SELECT receipt_id, line, product_id, quantity, CAST(quantity * products.price AS DECIMAL(12, 2)) AS amount
FROM lines JOIN products ON products.id = product_id
ORDER BY receipt_id, line;

CREATE TABLE receipts AS
WITH facts AS (
    SELECT
        i AS id,
        somebody(i, 'buyer', getvariable('customers')) AS customer_id,
        begun(i, 'purchased', getvariable('receipts')) AS born
    FROM range(1, getvariable('receipts') + 1) AS series (i)
), totals AS (
    SELECT receipt_id, sum(amount) AS total FROM receipt_lines GROUP BY receipt_id
)
SELECT
    id,
    tenant_of(customer_id) AS tenant,
    customer_id,
    'store-' || (1 + roll(id, 'store', 40)) AS store,
    pick(id, 'currency', ['EUR', 'EUR', 'EUR', 'GBP', 'CHF']) AS currency,
    CAST(totals.total AS DECIMAL(12, 2)) AS total,
    make_timestamptz(born) AS purchased_at,
    stamp(born, born + roll(id, 'till', 120000000) + CASE WHEN roll(id, 'return', 20) = 0 THEN 864000000000 ELSE 0 END)
        AS updated_at
FROM facts JOIN totals ON totals.receipt_id = facts.id
ORDER BY id;

CREATE TABLE events AS
WITH facts AS (
    SELECT
        i AS id,
        somebody(i, 'member', getvariable('customers')) AS customer_id,
        begun(i, 'occurred', getvariable('events')) AS born,
        roll(i, 'habit', 100) AS habit
    FROM range(1, getvariable('events') + 1) AS series (i)
), changed AS (
    SELECT
        *,
        CASE
            -- The nightly job stamps all that it touches with one instant: that is where ties come from.
            WHEN habit < 30 THEN (born // 86400000000 + 1) * 86400000000 + 10800123456
            WHEN habit < 40 THEN born + roll(id, 'corrected', 30 * 86400000000)
            ELSE born + roll(id, 'delay', 5000000)
        END AS changed
    FROM facts
)
SELECT
    id,
    tenant_of(customer_id) AS tenant,
    customer_id,
    pick(id, 'type', ['earn', 'earn', 'earn', 'redeem', 'expire', 'gift', 'visit']) AS type,
    pick(id, 'channel', ['store', 'store', 'web', 'app', 'phone', NULL]) AS channel,
    CAST(CAST(roll(id, 'points', 200000) - 40000 AS DECIMAL(12, 2)) / 100 AS DECIMAL(12, 2)) AS points,
    CAST(json_object(
        'campaign', 'spring-' || roll(id, 'campaign', 12),
        'device', pick(id, 'device', ['ios', 'android', NULL]),
        'tags', ['loyalty', pick(id, 'tag', ['vip', 'new', 'ñandú'])]
    ) AS JSON) AS payload,
    CASE WHEN roll(id, 'noted', 10) = 0 THEN pick(id, 'note', getvariable('notes')) END AS note,
    make_timestamptz(born) AS occurred_at,
    stamp(born, changed) AS updated_at
FROM changed
ORDER BY id;

ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE products ADD PRIMARY KEY (id);
ALTER TABLE receipts ADD PRIMARY KEY (id);
ALTER TABLE events ADD PRIMARY KEY (id);
ALTER TABLE events ALTER updated_at SET NOT NULL;
ALTER TABLE receipts ALTER updated_at SET NOT NULL;
ALTER TABLE customers ALTER updated_at SET NOT NULL;
