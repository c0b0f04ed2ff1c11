-- Orders, what was paid for them, and what left the house. Prices, titles, rates and addresses are copied at the moment of the act.
-- A checkout writes most of these tables at once, so each index here is one that a query needs.

CREATE TABLE shop_orders (
    id {id} NOT NULL PRIMARY KEY,
    cart_id {id} NOT NULL,
    number {key:40} NOT NULL,
    secret_hash {hash} NOT NULL,
    secret_sealed {bytes} NOT NULL,
    user_id {id},
    email {key:254} NOT NULL,
    status {key:16} NOT NULL,
    payment_status {key:24} NOT NULL,
    fulfilment_status {key:24} NOT NULL,
    currency {key:3} NOT NULL,
    prices_include_tax {flag} NOT NULL,
    subtotal {money} NOT NULL,
    discount {money} NOT NULL,
    shipping {money} NOT NULL,
    tax {money} NOT NULL,
    rounding {money} NOT NULL,
    total {money} NOT NULL,
    shipping_gross {money} NOT NULL,
    shipping_refunded {money} NOT NULL,
    captured {money} NOT NULL,
    refunded {money} NOT NULL,
    billing_address {json},
    shipping_address {json},
    shipping_method_id {id},
    shipping_title {key:190},
    payment_method {key:64},
    locale {key:35} NOT NULL,
    note {text},
    attention {key:64},
    expires_at {time},
    placed_at {time} NOT NULL,
    confirmed_at {time},
    paid_at {time},
    completed_at {time},
    canceled_at {time},
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_orders_money CHECK (total >= 0 AND captured >= 0 AND refunded >= 0 AND refunded <= captured AND shipping_refunded >= 0 AND shipping_refunded <= shipping_gross)
);
CREATE UNIQUE INDEX shop_orders_cart ON shop_orders (cart_id);
CREATE UNIQUE INDEX shop_orders_number ON shop_orders (number);
CREATE INDEX shop_orders_placed ON shop_orders (placed_at, id);
CREATE INDEX shop_orders_user ON shop_orders (user_id, placed_at, id);
CREATE INDEX shop_orders_status ON shop_orders (status, placed_at, id);
CREATE INDEX shop_orders_expires ON shop_orders (expires_at);
CREATE INDEX shop_orders_confirmed ON shop_orders (confirmed_at);

CREATE TABLE shop_order_lines (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL,
    position {int} NOT NULL,
    product_id {id} NOT NULL,
    variant_id {id} NOT NULL,
    title {key:255} NOT NULL,
    variant_title {key:255} NOT NULL,
    sku {key:64},
    quantity {int} NOT NULL,
    unit_price {money} NOT NULL,
    subtotal {money} NOT NULL,
    discount {money} NOT NULL,
    net {money} NOT NULL,
    tax {money} NOT NULL,
    gross {money} NOT NULL,
    rates {json} NOT NULL,
    demand {json} NOT NULL,
    is_shippable {flag} NOT NULL,
    allocated_quantity {int} NOT NULL,
    fulfilled_quantity {int} NOT NULL,
    refunded_quantity {int} NOT NULL,
    returned_quantity {int} NOT NULL,
    refunded_amount {money} NOT NULL,
    CONSTRAINT shop_order_lines_order FOREIGN KEY (order_id) REFERENCES shop_orders (id),
    CONSTRAINT shop_order_lines_counts CHECK (quantity > 0 AND fulfilled_quantity >= 0 AND fulfilled_quantity <= allocated_quantity AND allocated_quantity <= quantity AND refunded_quantity >= 0 AND refunded_quantity <= quantity AND returned_quantity >= 0 AND returned_quantity <= refunded_quantity AND refunded_amount >= 0 AND refunded_amount <= gross)
) {clustered};
CREATE UNIQUE INDEX shop_order_lines_position ON shop_order_lines (order_id, position);

CREATE TABLE shop_order_taxes (
    order_id {id} NOT NULL,
    position {int} NOT NULL,
    name {key:120} NOT NULL,
    category {key:4} NOT NULL,
    rate_ppm {int} NOT NULL,
    net {money} NOT NULL,
    tax {money} NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT shop_order_taxes_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
) {clustered};

CREATE TABLE shop_order_discounts (
    order_id {id} NOT NULL,
    position {int} NOT NULL,
    coupon_id {id},
    code {key:64},
    title {key:190} NOT NULL,
    amount {money} NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT shop_order_discounts_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
) {clustered};

-- Append-only: each row tells what happened and the three axes after it (INV-O4).
CREATE TABLE shop_order_events (
    order_id {id} NOT NULL,
    id {id} NOT NULL,
    kind {key:48} NOT NULL,
    status {key:16} NOT NULL,
    payment_status {key:24} NOT NULL,
    fulfilment_status {key:24} NOT NULL,
    actor {key:64} NOT NULL,
    request_id {key:64} NOT NULL,
    reason {text},
    detail {json},
    at {time} NOT NULL,
    PRIMARY KEY (order_id, id),
    CONSTRAINT shop_order_events_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
) {clustered};

-- What is due to be mailed: one row per order and occasion, whoever asks first (INV-O5).
CREATE TABLE shop_order_mails (
    id {id} NOT NULL PRIMARY KEY,
    dedup_key {key:120} NOT NULL,
    order_id {id} NOT NULL,
    kind {key:32} NOT NULL,
    source_id {id},
    queued_at {time},
    created_at {time} NOT NULL,
    CONSTRAINT shop_order_mails_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
) {clustered};
CREATE UNIQUE INDEX shop_order_mails_key ON shop_order_mails (dedup_key);
CREATE INDEX shop_order_mails_due ON shop_order_mails (queued_at, id);

CREATE TABLE shop_counters (
    name {key:64} NOT NULL PRIMARY KEY,
    value {int} NOT NULL
);

-- Forgotten by age, which their ids begin with.
CREATE TABLE shop_checkouts (
    id {id} NOT NULL PRIMARY KEY,
    key_hash {hash} NOT NULL,
    fingerprint {hash} NOT NULL,
    cart_id {id} NOT NULL,
    order_id {id} NOT NULL,
    payment_id {id},
    phase {key:24} NOT NULL,
    status {int},
    response_sealed {bytes},
    created_at {time} NOT NULL,
    CONSTRAINT shop_checkouts_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
);
CREATE UNIQUE INDEX shop_checkouts_key ON shop_checkouts (key_hash);

CREATE TABLE shop_payments (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL,
    provider {key:32} NOT NULL,
    method {key:64} NOT NULL,
    reference {key:190},
    state {key:16} NOT NULL,
    currency {key:3} NOT NULL,
    amount {money} NOT NULL,
    authorized {money} NOT NULL,
    captured {money} NOT NULL,
    refund_claimed {money} NOT NULL,
    refunded {money} NOT NULL,
    is_disputed {flag} NOT NULL,
    attempt {int} NOT NULL,
    live_slot {int},
    provider_code {key:64},
    client_data_sealed {bytes},
    check_at {time},
    checks {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_payments_order FOREIGN KEY (order_id) REFERENCES shop_orders (id),
    CONSTRAINT shop_payments_money CHECK (captured >= 0 AND captured <= amount AND refund_claimed >= 0 AND refund_claimed <= captured AND refunded >= 0 AND refunded <= refund_claimed)
) {clustered};
CREATE UNIQUE INDEX shop_payments_reference ON shop_payments (reference);
CREATE UNIQUE INDEX shop_payments_live ON shop_payments (order_id, live_slot);
CREATE INDEX shop_payments_check ON shop_payments (check_at);

CREATE TABLE shop_refunds (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL,
    payment_id {id} NOT NULL,
    state {key:16} NOT NULL,
    currency {key:3} NOT NULL,
    amount {money} NOT NULL,
    shipping {money} NOT NULL,
    reason {text} NOT NULL,
    notify {flag} NOT NULL,
    provider_reference {key:190},
    provider_code {key:64},
    actor {key:64} NOT NULL,
    attempt {int} NOT NULL,
    check_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    CONSTRAINT shop_refunds_order FOREIGN KEY (order_id) REFERENCES shop_orders (id),
    CONSTRAINT shop_refunds_payment FOREIGN KEY (payment_id) REFERENCES shop_payments (id),
    CONSTRAINT shop_refunds_money CHECK (amount > 0 AND shipping >= 0 AND shipping <= amount)
);
CREATE UNIQUE INDEX shop_refunds_reference ON shop_refunds (provider_reference);
CREATE INDEX shop_refunds_order_id ON shop_refunds (order_id, id);
CREATE INDEX shop_refunds_payment_id ON shop_refunds (payment_id);
CREATE INDEX shop_refunds_check ON shop_refunds (check_at);

CREATE TABLE shop_refund_lines (
    refund_id {id} NOT NULL,
    order_line_id {id} NOT NULL,
    quantity {int} NOT NULL,
    amount {money} NOT NULL,
    returned_quantity {int} NOT NULL,
    PRIMARY KEY (refund_id, order_line_id),
    CONSTRAINT shop_refund_lines_refund FOREIGN KEY (refund_id) REFERENCES shop_refunds (id),
    CONSTRAINT shop_refund_lines_line FOREIGN KEY (order_line_id) REFERENCES shop_order_lines (id)
);

-- Append-only, double entry: the rows of one tx_id sum to nothing (INV-P6).
CREATE TABLE shop_ledger_entries (
    id {id} NOT NULL PRIMARY KEY,
    tx_id {id} NOT NULL,
    kind {key:24} NOT NULL,
    account {key:64} NOT NULL,
    amount {money} NOT NULL,
    currency {key:3} NOT NULL,
    order_id {id},
    payment_id {id},
    provider_reference {key:190} NOT NULL,
    at {time} NOT NULL
);
CREATE UNIQUE INDEX shop_ledger_entries_once ON shop_ledger_entries (provider_reference, account, kind);
CREATE INDEX shop_ledger_entries_order ON shop_ledger_entries (order_id, id);
CREATE INDEX shop_ledger_entries_at ON shop_ledger_entries (at, id);
CREATE INDEX shop_ledger_entries_account ON shop_ledger_entries (account, currency);

-- The inbox: what providers told us, durable before they hear 200 (INV-P2).
CREATE TABLE shop_provider_events (
    id {id} NOT NULL PRIMARY KEY,
    provider {key:32} NOT NULL,
    event_id {key:190} NOT NULL,
    kind {key:64} NOT NULL,
    reference {key:190},
    payment_id {id},
    state {key:16} NOT NULL,
    attempts {int} NOT NULL,
    payload_sealed {bytes} NOT NULL,
    received_at {time} NOT NULL,
    processed_at {time}
);
CREATE UNIQUE INDEX shop_provider_events_key ON shop_provider_events (provider, event_id);
CREATE INDEX shop_provider_events_received ON shop_provider_events (received_at, id);

CREATE TABLE shop_provider_cursors (
    provider {key:32} NOT NULL PRIMARY KEY,
    position {key:190},
    polled_at {time} NOT NULL
);

CREATE TABLE shop_fulfilments (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL,
    location_id {id} NOT NULL,
    state {key:16} NOT NULL,
    carrier {key:64},
    tracking {key:190},
    shipped_at {time},
    delivered_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_fulfilments_order FOREIGN KEY (order_id) REFERENCES shop_orders (id)
);
CREATE INDEX shop_fulfilments_order_id ON shop_fulfilments (order_id, id);

CREATE TABLE shop_fulfilment_lines (
    fulfilment_id {id} NOT NULL,
    order_line_id {id} NOT NULL,
    quantity {int} NOT NULL,
    PRIMARY KEY (fulfilment_id, order_line_id),
    CONSTRAINT shop_fulfilment_lines_fulfilment FOREIGN KEY (fulfilment_id) REFERENCES shop_fulfilments (id),
    CONSTRAINT shop_fulfilment_lines_line FOREIGN KEY (order_line_id) REFERENCES shop_order_lines (id),
    CONSTRAINT shop_fulfilment_lines_quantity CHECK (quantity > 0)
);

-- Roll-ups of one day, made anew from the orders and the ledger as often as wanted (REP-1).
CREATE TABLE shop_daily (
    day {key:10} NOT NULL,
    currency {key:3} NOT NULL,
    kind {key:24} NOT NULL,
    item {key:64} NOT NULL,
    count {int} NOT NULL,
    amount {money} NOT NULL,
    PRIMARY KEY (day, currency, kind, item)
);
