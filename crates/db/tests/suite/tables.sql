CREATE TABLE items (
    id {int} PRIMARY KEY,
    n {int},
    done {flag},
    name {key:190},
    body {text},
    data {bytes},
    uid {id},
    digest {hash},
    happened_at {time},
    price {money},
    doc {json},
    CONSTRAINT items_price_positive CHECK (price >= 0)
);
CREATE UNIQUE INDEX items_name ON items (name);
CREATE UNIQUE INDEX items_n_uid ON items (n, uid);
CREATE INDEX items_happened_at ON items (happened_at);

CREATE TABLE parts (
    item_id {int} NOT NULL,
    place {int} NOT NULL,
    label {key:20} NOT NULL,
    PRIMARY KEY (item_id, place),
    CONSTRAINT parts_item FOREIGN KEY (item_id) REFERENCES items (id)
) {engine};

CREATE TABLE counters (id {int} PRIMARY KEY, n {int} NOT NULL);
INSERT INTO counters (id, n) VALUES (1, 0);
INSERT INTO counters (id, n) VALUES (2, 0);
