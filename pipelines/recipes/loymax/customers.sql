-- PostgreSQL, MySQL, MariaDB and SQL Server read this as it is; Oracle has no CONCAT_WS: write f_name || ' ' || l_name.
SELECT
    customer_id AS local_id,
    CONCAT_WS(' ', NULLIF(f_name, ''), NULLIF(m_name, ''), NULLIF(l_name, '')) AS full_name,
    f_name AS first_name,
    m_name AS middle_name,
    l_name AS last_name,
    email AS email,
    phone AS phone,
    gender AS sex,
    b_date AS birth_date,
    country AS country,
    area AS area,
    city AS city,
    post_index AS zip,
    reg_date AS register_date,
    points AS bonus_balance,
    card_no AS card_number,
    email_ok AS is_email_allowed,
    sms_ok AS is_sms_allowed,
    updated_at AS updated_at,
    user_id AS user_id
FROM customers
