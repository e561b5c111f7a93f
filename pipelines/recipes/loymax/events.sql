SELECT
    event_id AS local_id,
    customer_id AS customer_local_id,
    kind AS kind,
    happened_at AS happened_at,
    detail AS detail,
    payload AS payload,
    user_id AS user_id
FROM events
WHERE event_id > {$last_id}
