-- Short links, where they lead, and how often they were followed. An owner of sixteen zero bytes is the server itself.

CREATE TABLE links_domains (
    id {id} NOT NULL PRIMARY KEY,
    host {key:253} NOT NULL,
    is_default {flag} NOT NULL,
    is_case_sensitive {flag} NOT NULL,
    root_url {text},
    not_found_url {text},
    expired_url {text},
    schemes {key:190} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX links_domains_host ON links_domains (host);

-- slug_key is the slug as it is looked up; a deleted link keeps it until somebody reuses it on purpose (INV-L5).
-- dedupe_key stands only on links that were made with if_exists (INV-L20).
CREATE TABLE links_links (
    id {id} NOT NULL PRIMARY KEY,
    domain_id {id} NOT NULL,
    slug {key:200} NOT NULL,
    slug_key {key:600} NOT NULL,
    url {text} NOT NULL,
    url_hash {hash} NOT NULL,
    dedupe_key {hash},
    owner_user_id {id} NOT NULL,
    external_id {key:190},
    status {key:16} NOT NULL,
    redirect_status {int} NOT NULL,
    valid_from {time},
    expires_at {time},
    expired_url {text},
    max_clicks {int},
    used_clicks {int} NOT NULL,
    password_phc {key:255},
    forward_query {key:16} NOT NULL,
    forward_path {flag} NOT NULL,
    is_crawlable {flag} NOT NULL,
    is_unlisted {flag} NOT NULL,
    title {text} NOT NULL,
    note {text} NOT NULL,
    search_text {text} NOT NULL,
    click_count {int} NOT NULL,
    human_click_count {int} NOT NULL,
    last_clicked_at {time} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    deleted_at {time},
    CONSTRAINT links_links_domain FOREIGN KEY (domain_id) REFERENCES links_domains (id)
);
CREATE UNIQUE INDEX links_links_slug ON links_links (domain_id, slug_key);
CREATE UNIQUE INDEX links_links_dedupe ON links_links (dedupe_key);
CREATE UNIQUE INDEX links_links_external ON links_links (owner_user_id, external_id);
CREATE INDEX links_links_owner_url ON links_links (owner_user_id, url_hash);
CREATE INDEX links_links_owner_created ON links_links (owner_user_id, created_at, id);
CREATE INDEX links_links_owner_clicks ON links_links (owner_user_id, click_count, id);
CREATE INDEX links_links_owner_clicked ON links_links (owner_user_id, last_clicked_at, id);
CREATE INDEX links_links_owner_slug ON links_links (owner_user_id, slug_key, id);
CREATE INDEX links_links_created ON links_links (created_at, id);
CREATE INDEX links_links_clicks ON links_links (click_count, id);
CREATE INDEX links_links_clicked ON links_links (last_clicked_at, id);
CREATE INDEX links_links_by_slug ON links_links (slug_key, id);

CREATE TABLE links_tags (
    id {id} NOT NULL PRIMARY KEY,
    owner_user_id {id} NOT NULL,
    name {key:50} NOT NULL,
    name_key {key:150} NOT NULL
);
CREATE UNIQUE INDEX links_tags_name ON links_tags (owner_user_id, name_key);

CREATE TABLE links_link_tags (
    link_id {id} NOT NULL,
    tag_id {id} NOT NULL,
    PRIMARY KEY (link_id, tag_id),
    CONSTRAINT links_link_tags_link FOREIGN KEY (link_id) REFERENCES links_links (id),
    CONSTRAINT links_link_tags_tag FOREIGN KEY (tag_id) REFERENCES links_tags (id)
);
CREATE INDEX links_link_tags_tag_id ON links_link_tags (tag_id, link_id);

-- One row a click, while the load allows it and for links.clicks.raw_days; the id begins with the time of the click.
CREATE TABLE links_clicks (
    id {id} NOT NULL PRIMARY KEY,
    link_id {id} NOT NULL,
    at {time} NOT NULL,
    class {key:16} NOT NULL,
    via {key:16} NOT NULL,
    country {key:2},
    city {key:100},
    device {key:16},
    browser {key:32},
    os {key:32},
    language {key:16},
    referrer_host {key:253},
    rule {id},
    variant {int},
    visitor_hash {hash}
);
CREATE INDEX links_clicks_link ON links_clicks (link_id, at);

-- The dimension `total` counts every click once; `shed` those of them that have no row in links_clicks (INV-L3, INV-L14).
CREATE TABLE links_click_hours (
    link_id {id} NOT NULL,
    hour {time} NOT NULL,
    class {key:16} NOT NULL,
    dimension {key:16} NOT NULL,
    value {key:253} NOT NULL,
    clicks {int} NOT NULL,
    PRIMARY KEY (link_id, dimension, hour, class, value)
);

-- How far the clicks of a journal are counted: the first `position` records of `segment`, and all before it (INV-L2).
CREATE TABLE links_journal_state (
    node_id {id} NOT NULL PRIMARY KEY,
    segment {int} NOT NULL,
    position {int} NOT NULL,
    updated_at {time} NOT NULL
);
CREATE INDEX links_journal_state_updated ON links_journal_state (updated_at);

CREATE TABLE links_imports (
    id {id} NOT NULL PRIMARY KEY,
    owner_user_id {id} NOT NULL,
    kind {key:16} NOT NULL,
    source {key:190} NOT NULL,
    on_conflict {key:16} NOT NULL,
    is_dry_run {flag} NOT NULL,
    status {key:16} NOT NULL,
    total {int} NOT NULL,
    position {int} NOT NULL,
    created_count {int} NOT NULL,
    updated_count {int} NOT NULL,
    skipped_count {int} NOT NULL,
    failed_count {int} NOT NULL,
    created_at {time} NOT NULL,
    finished_at {time}
);
CREATE INDEX links_imports_owner ON links_imports (owner_user_id, created_at, id);
CREATE INDEX links_imports_created ON links_imports (created_at);

-- The rows of an import that are not carried out yet, and what came of those that are.
CREATE TABLE links_import_rows (
    import_id {id} NOT NULL,
    line {int} NOT NULL,
    data {json} NOT NULL,
    PRIMARY KEY (import_id, line),
    CONSTRAINT links_import_rows_import FOREIGN KEY (import_id) REFERENCES links_imports (id)
);
CREATE TABLE links_import_reports (
    import_id {id} NOT NULL,
    line {int} NOT NULL,
    outcome {key:16} NOT NULL,
    code {key:64},
    pointer {key:64},
    link_id {id},
    PRIMARY KEY (import_id, line),
    CONSTRAINT links_import_reports_import FOREIGN KEY (import_id) REFERENCES links_imports (id)
);

-- Which foreign link became which of ours, so that importing twice changes nothing.
CREATE TABLE links_import_refs (
    owner_user_id {id} NOT NULL,
    source {key:190} NOT NULL,
    foreign_id {key:400} NOT NULL,
    link_id {id} NOT NULL,
    PRIMARY KEY (owner_user_id, source, foreign_id)
);
