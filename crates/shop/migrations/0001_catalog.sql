-- What is sold, what it costs, where it lies, who is about to buy it. Money is minor units beside a currency.

CREATE TABLE shop_products (
    id {id} NOT NULL PRIMARY KEY,
    slug {key:120} NOT NULL,
    status {key:16} NOT NULL,
    title {key:255} NOT NULL,
    title_key {key:120} NOT NULL,
    description {text} NOT NULL,
    description_html {text} NOT NULL,
    renderer {int} NOT NULL,
    vendor {key:120},
    type_id {id},
    attributes {json} NOT NULL,
    seo {json} NOT NULL,
    options {json} NOT NULL,
    media {json} NOT NULL,
    published_at {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_products_status CHECK (status IN ('draft', 'active', 'archived'))
);
CREATE UNIQUE INDEX shop_products_slug ON shop_products (slug);
CREATE INDEX shop_products_created ON shop_products (status, created_at, id);
CREATE INDEX shop_products_title ON shop_products (status, title_key, id);
CREATE INDEX shop_products_all_created ON shop_products (created_at, id);
CREATE INDEX shop_products_all_title ON shop_products (title_key, id);

CREATE TABLE shop_tax_classes (
    id {id} NOT NULL PRIMARY KEY,
    code {key:40} NOT NULL,
    name {key:120} NOT NULL,
    is_default {flag} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX shop_tax_classes_code ON shop_tax_classes (code);

-- Titles, makers, descriptions and stock keeping units, by word.
{fulltext:shop_product_search};

CREATE TABLE shop_variants (
    id {id} NOT NULL PRIMARY KEY,
    product_id {id} NOT NULL,
    title {key:255} NOT NULL,
    sku {key:64},
    barcode {key:64},
    options {json} NOT NULL,
    options_key {hash} NOT NULL,
    weight_grams {int} NOT NULL,
    is_shippable {flag} NOT NULL,
    is_digital {flag} NOT NULL,
    is_stock_tracked {flag} NOT NULL,
    is_active {flag} NOT NULL,
    tax_class_id {id} NOT NULL,
    position {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_variants_product FOREIGN KEY (product_id) REFERENCES shop_products (id),
    CONSTRAINT shop_variants_class FOREIGN KEY (tax_class_id) REFERENCES shop_tax_classes (id),
    CONSTRAINT shop_variants_weight CHECK (weight_grams >= 0)
);
CREATE UNIQUE INDEX shop_variants_sku ON shop_variants (sku);
CREATE UNIQUE INDEX shop_variants_options ON shop_variants (product_id, options_key);
CREATE INDEX shop_variants_tax_class ON shop_variants (tax_class_id);

CREATE TABLE shop_categories (
    id {id} NOT NULL PRIMARY KEY,
    parent_id {id},
    slug {key:120} NOT NULL,
    title {key:255} NOT NULL,
    description {text} NOT NULL,
    position {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX shop_categories_slug ON shop_categories (slug);
CREATE INDEX shop_categories_parent ON shop_categories (parent_id);

CREATE TABLE shop_product_categories (
    category_id {id} NOT NULL,
    product_id {id} NOT NULL,
    position {int} NOT NULL,
    PRIMARY KEY (category_id, product_id),
    CONSTRAINT shop_product_categories_category FOREIGN KEY (category_id) REFERENCES shop_categories (id),
    CONSTRAINT shop_product_categories_product FOREIGN KEY (product_id) REFERENCES shop_products (id)
);
CREATE INDEX shop_product_categories_product ON shop_product_categories (product_id);

-- list_id is for price lists; the shop's own prices have none.
CREATE TABLE shop_prices (
    id {id} NOT NULL PRIMARY KEY,
    variant_id {id} NOT NULL,
    currency {key:3} NOT NULL,
    list_id {id},
    min_quantity {int} NOT NULL,
    amount {money} NOT NULL,
    compare_at {money},
    valid_from {time},
    valid_until {time},
    CONSTRAINT shop_prices_variant FOREIGN KEY (variant_id) REFERENCES shop_variants (id),
    CONSTRAINT shop_prices_amount CHECK (amount >= 0),
    CONSTRAINT shop_prices_quantity CHECK (min_quantity >= 1)
);
CREATE INDEX shop_prices_of ON shop_prices (variant_id, currency);

CREATE TABLE shop_price_log (
    id {id} NOT NULL PRIMARY KEY,
    variant_id {id} NOT NULL,
    currency {key:3} NOT NULL,
    min_quantity {int} NOT NULL,
    amount {money},
    compare_at {money},
    at {time} NOT NULL,
    actor {key:64} NOT NULL
);
CREATE INDEX shop_price_log_of ON shop_price_log (variant_id, currency, at);

-- A zone of either kind is places; the most specific place wins, then the lowest priority.
CREATE TABLE shop_tax_zones (
    id {id} NOT NULL PRIMARY KEY,
    name {key:120} NOT NULL,
    priority {int} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL
);

CREATE TABLE shop_shipping_zones (
    id {id} NOT NULL PRIMARY KEY,
    name {key:120} NOT NULL,
    priority {int} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL
);

CREATE TABLE shop_zone_places (
    zone_id {id} NOT NULL,
    position {int} NOT NULL,
    country {key:2} NOT NULL,
    region {key:40} NOT NULL,
    postal_from {key:16} NOT NULL,
    postal_to {key:16} NOT NULL,
    PRIMARY KEY (zone_id, position)
);
CREATE INDEX shop_zone_places_country ON shop_zone_places (country, zone_id);

CREATE TABLE shop_tax_rates (
    id {id} NOT NULL PRIMARY KEY,
    zone_id {id} NOT NULL,
    tax_class_id {id} NOT NULL,
    name {key:80} NOT NULL,
    rate_ppm {int} NOT NULL,
    category {key:2} NOT NULL,
    valid_from {time},
    valid_until {time},
    created_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_tax_rates_zone FOREIGN KEY (zone_id) REFERENCES shop_tax_zones (id),
    CONSTRAINT shop_tax_rates_class FOREIGN KEY (tax_class_id) REFERENCES shop_tax_classes (id),
    CONSTRAINT shop_tax_rates_ppm CHECK (rate_ppm BETWEEN 0 AND 1000000)
);
CREATE INDEX shop_tax_rates_zone_id ON shop_tax_rates (zone_id);
CREATE INDEX shop_tax_rates_class_id ON shop_tax_rates (tax_class_id);

CREATE TABLE shop_shipping_methods (
    id {id} NOT NULL PRIMARY KEY,
    zone_id {id} NOT NULL,
    name {key:120} NOT NULL,
    calculator {key:16} NOT NULL,
    prices {json} NOT NULL,
    conditions {json} NOT NULL,
    tax_class_id {id},
    position {int} NOT NULL,
    is_active {flag} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_shipping_methods_zone FOREIGN KEY (zone_id) REFERENCES shop_shipping_zones (id),
    CONSTRAINT shop_shipping_methods_class FOREIGN KEY (tax_class_id) REFERENCES shop_tax_classes (id)
);
CREATE INDEX shop_shipping_methods_zone_id ON shop_shipping_methods (zone_id);
CREATE INDEX shop_shipping_methods_tax_class ON shop_shipping_methods (tax_class_id);

CREATE TABLE shop_locations (
    id {id} NOT NULL PRIMARY KEY,
    code {key:40} NOT NULL,
    name {key:120} NOT NULL,
    priority {int} NOT NULL,
    is_active {flag} NOT NULL,
    created_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX shop_locations_code ON shop_locations (code);

CREATE TABLE shop_items (
    id {id} NOT NULL PRIMARY KEY,
    name {key:255} NOT NULL,
    sku {key:64},
    low_stock_at {int},
    created_at {time} NOT NULL
);

CREATE TABLE shop_variant_items (
    variant_id {id} NOT NULL,
    item_id {id} NOT NULL,
    quantity {int} NOT NULL,
    PRIMARY KEY (variant_id, item_id),
    CONSTRAINT shop_variant_items_variant FOREIGN KEY (variant_id) REFERENCES shop_variants (id),
    CONSTRAINT shop_variant_items_item FOREIGN KEY (item_id) REFERENCES shop_items (id),
    CONSTRAINT shop_variant_items_quantity CHECK (quantity >= 1)
);
CREATE INDEX shop_variant_items_item_id ON shop_variant_items (item_id);

-- The checks are the last line of defence; the conditional UPDATEs never reach them (INV-S2).
CREATE TABLE shop_stock_levels (
    item_id {id} NOT NULL,
    location_id {id} NOT NULL,
    on_hand {int} NOT NULL,
    reserved {int} NOT NULL,
    backorder_limit {int} NOT NULL,
    updated_at {time} NOT NULL,
    PRIMARY KEY (item_id, location_id),
    CONSTRAINT shop_stock_levels_item FOREIGN KEY (item_id) REFERENCES shop_items (id),
    CONSTRAINT shop_stock_levels_location FOREIGN KEY (location_id) REFERENCES shop_locations (id),
    CONSTRAINT shop_stock_levels_on_hand CHECK (on_hand >= 0),
    CONSTRAINT shop_stock_levels_limit CHECK (backorder_limit >= 0),
    CONSTRAINT shop_stock_levels_reserved CHECK (reserved >= 0 AND reserved <= on_hand + backorder_limit)
);
CREATE INDEX shop_stock_levels_location_id ON shop_stock_levels (location_id);

-- Append-only: what happened on the shelves.
CREATE TABLE shop_stock_movements (
    id {id} NOT NULL PRIMARY KEY,
    item_id {id} NOT NULL,
    location_id {id} NOT NULL,
    quantity {int} NOT NULL,
    kind {key:16} NOT NULL,
    order_line_id {id},
    source_id {id},
    reason {key:255},
    actor {key:64} NOT NULL,
    at {time} NOT NULL
);
CREATE UNIQUE INDEX shop_stock_movements_once ON shop_stock_movements (order_line_id, kind, source_id, item_id, location_id);
CREATE INDEX shop_stock_movements_item ON shop_stock_movements (item_id, at, id);

CREATE TABLE shop_reservations (
    id {id} NOT NULL PRIMARY KEY,
    order_id {id} NOT NULL,
    item_id {id} NOT NULL,
    location_id {id} NOT NULL,
    quantity {int} NOT NULL,
    state {key:16} NOT NULL,
    expires_at {time},
    created_at {time} NOT NULL,
    closed_at {time},
    CONSTRAINT shop_reservations_quantity CHECK (quantity >= 0),
    CONSTRAINT shop_reservations_state CHECK (state IN ('held', 'committed', 'fulfilled', 'released'))
) {clustered};
CREATE INDEX shop_reservations_order ON shop_reservations (order_id);
CREATE INDEX shop_reservations_item ON shop_reservations (item_id, location_id, state);

-- open_slot is 1 while a person's cart is open, and NULL otherwise: one open cart per person.
CREATE TABLE shop_carts (
    id {id} NOT NULL PRIMARY KEY,
    secret_hash {hash},
    user_id {id},
    open_slot {int},
    state {key:16} NOT NULL,
    currency {key:3} NOT NULL,
    email {key:254},
    locale {key:35} NOT NULL,
    note {text},
    attributes {json} NOT NULL,
    shipping_address {json},
    billing_address {json},
    shipping_method_id {id},
    order_id {id},
    merged_into_id {id},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_carts_state CHECK (state IN ('open', 'ordered', 'merged', 'expired'))
);
CREATE UNIQUE INDEX shop_carts_open ON shop_carts (user_id, open_slot);
CREATE INDEX shop_carts_expires ON shop_carts (state, expires_at);

CREATE TABLE shop_cart_lines (
    id {id} NOT NULL PRIMARY KEY,
    cart_id {id} NOT NULL,
    variant_id {id} NOT NULL,
    quantity {int} NOT NULL,
    seen_price {money},
    position {int} NOT NULL,
    created_at {time} NOT NULL,
    CONSTRAINT shop_cart_lines_cart FOREIGN KEY (cart_id) REFERENCES shop_carts (id),
    CONSTRAINT shop_cart_lines_quantity CHECK (quantity BETWEEN 1 AND 9999)
);
CREATE UNIQUE INDEX shop_cart_lines_variant ON shop_cart_lines (cart_id, variant_id);
CREATE INDEX shop_cart_lines_variant_id ON shop_cart_lines (variant_id);

CREATE TABLE shop_promotions (
    id {id} NOT NULL PRIMARY KEY,
    name {key:120} NOT NULL,
    is_automatic {flag} NOT NULL,
    is_active {flag} NOT NULL,
    is_exclusive {flag} NOT NULL,
    priority {int} NOT NULL,
    action {key:24} NOT NULL,
    percent_ppm {int},
    amount {money},
    currency {key:3},
    min_subtotal {money},
    product_ids {json} NOT NULL,
    valid_from {time},
    valid_until {time},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE INDEX shop_promotions_active ON shop_promotions (is_active, is_automatic);

CREATE TABLE shop_coupons (
    id {id} NOT NULL PRIMARY KEY,
    promotion_id {id} NOT NULL,
    code {key:40} NOT NULL,
    code_key {key:120} NOT NULL,
    used {int} NOT NULL,
    usage_limit {int},
    per_customer {int},
    is_active {flag} NOT NULL,
    valid_until {time},
    created_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT shop_coupons_promotion FOREIGN KEY (promotion_id) REFERENCES shop_promotions (id),
    CONSTRAINT shop_coupons_used CHECK (used >= 0 AND (usage_limit IS NULL OR used <= usage_limit))
);
CREATE UNIQUE INDEX shop_coupons_code ON shop_coupons (code_key);
CREATE INDEX shop_coupons_promotion_id ON shop_coupons (promotion_id, created_at, id);

-- How often each customer has used a coupon; the row is what two of their orders queue for.
CREATE TABLE shop_coupon_customers (
    coupon_id {id} NOT NULL,
    customer {key:254} NOT NULL,
    used {int} NOT NULL,
    PRIMARY KEY (coupon_id, customer),
    CONSTRAINT shop_coupon_customers_used CHECK (used >= 0)
);

CREATE TABLE shop_coupon_uses (
    coupon_id {id} NOT NULL,
    order_id {id} NOT NULL,
    customer {key:254} NOT NULL,
    at {time} NOT NULL,
    given_back_at {time},
    PRIMARY KEY (coupon_id, order_id),
    CONSTRAINT shop_coupon_uses_coupon FOREIGN KEY (coupon_id) REFERENCES shop_coupons (id)
);
CREATE INDEX shop_coupon_uses_order ON shop_coupon_uses (order_id);

CREATE TABLE shop_cart_codes (
    cart_id {id} NOT NULL,
    coupon_id {id} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (cart_id, coupon_id),
    CONSTRAINT shop_cart_codes_cart FOREIGN KEY (cart_id) REFERENCES shop_carts (id),
    CONSTRAINT shop_cart_codes_coupon FOREIGN KEY (coupon_id) REFERENCES shop_coupons (id)
);
CREATE INDEX shop_cart_codes_coupon ON shop_cart_codes (coupon_id);
