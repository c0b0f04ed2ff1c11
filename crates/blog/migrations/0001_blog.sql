-- Posts and what belongs to them. Long texts stand last in a row, so that a list does not read past them; last of all what only editors read.

CREATE TABLE blog_posts (
    id {id} NOT NULL PRIMARY KEY,
    locale {key:35} NOT NULL,
    translation_group_id {id} NOT NULL,
    status {key:16} NOT NULL,
    visibility {key:16} NOT NULL,
    slug {key:100} NOT NULL,
    title {key:255} NOT NULL,
    sort_title {key:200} NOT NULL,
    excerpt {key:1000},
    lead_text {key:320} NOT NULL,
    body_format {key:16} NOT NULL,
    render_version {int} NOT NULL,
    is_raw_html {flag} NOT NULL,
    featured_media_id {id},
    comment_policy {key:16},
    word_count {int} NOT NULL,
    published_at {time},
    published_order {time} NOT NULL,
    unpublish_at {time},
    first_published_at {time},
    created_by {id},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    deleted_at {time},
    version {int} NOT NULL,
    seo {json} NOT NULL,
    body_html {text} NOT NULL,
    body_text {text} NOT NULL,
    body_source {text} NOT NULL
);
CREATE UNIQUE INDEX blog_posts_translation ON blog_posts (translation_group_id, locale);
CREATE INDEX blog_posts_public ON blog_posts (status, visibility, published_order, id);
CREATE INDEX blog_posts_published ON blog_posts (published_order, id);
CREATE INDEX blog_posts_created ON blog_posts (created_at, id);
CREATE INDEX blog_posts_updated ON blog_posts (updated_at, id);
CREATE INDEX blog_posts_title ON blog_posts (sort_title, id);
CREATE INDEX blog_posts_deleted ON blog_posts (deleted_at);
CREATE INDEX blog_posts_rendered ON blog_posts (render_version);

-- Every slug that a post has or had. A purged post leaves its slugs behind without itself: they answer 410, so there is no foreign key.
CREATE TABLE blog_post_slugs (
    locale {key:35} NOT NULL,
    slug {key:100} NOT NULL,
    post_id {id},
    is_current {flag} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (locale, slug)
);
CREATE INDEX blog_post_slugs_post ON blog_post_slugs (post_id, is_current);
CREATE INDEX blog_post_slugs_slug ON blog_post_slugs (slug, is_current);

CREATE TABLE blog_post_drafts (
    post_id {id} NOT NULL PRIMARY KEY,
    base_version {int} NOT NULL,
    version {int} NOT NULL,
    updated_by {id},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    payload {json} NOT NULL,
    CONSTRAINT blog_post_drafts_post FOREIGN KEY (post_id) REFERENCES blog_posts (id)
);

CREATE TABLE blog_post_revisions (
    post_id {id} NOT NULL,
    number {int} NOT NULL,
    author_user_id {id},
    reason {key:32} NOT NULL,
    created_at {time} NOT NULL,
    payload {json} NOT NULL,
    PRIMARY KEY (post_id, number),
    CONSTRAINT blog_post_revisions_post FOREIGN KEY (post_id) REFERENCES blog_posts (id)
);

-- A change that is due at an instant; whoever sets done_at records its event, so there is one event (BLG-4).
CREATE TABLE blog_post_transitions (
    id {id} NOT NULL PRIMARY KEY,
    post_id {id} NOT NULL,
    kind {key:16} NOT NULL,
    due_at {time} NOT NULL,
    done_at {time},
    created_at {time} NOT NULL,
    CONSTRAINT blog_post_transitions_post FOREIGN KEY (post_id) REFERENCES blog_posts (id)
);
CREATE UNIQUE INDEX blog_post_transitions_due ON blog_post_transitions (post_id, kind, due_at);
CREATE INDEX blog_post_transitions_open ON blog_post_transitions (done_at, due_at);

CREATE TABLE blog_authors (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id},
    slug {key:100} NOT NULL,
    name {key:80} NOT NULL,
    bio {key:1000} NOT NULL,
    website {key:500},
    avatar_media_id {id},
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
) {clustered};
CREATE UNIQUE INDEX blog_authors_user ON blog_authors (user_id);
CREATE UNIQUE INDEX blog_authors_slug ON blog_authors (slug);
CREATE INDEX blog_authors_name ON blog_authors (name, id);

CREATE TABLE blog_post_authors (
    post_id {id} NOT NULL,
    author_id {id} NOT NULL,
    position {int} NOT NULL,
    PRIMARY KEY (post_id, author_id),
    CONSTRAINT blog_post_authors_post FOREIGN KEY (post_id) REFERENCES blog_posts (id),
    CONSTRAINT blog_post_authors_author FOREIGN KEY (author_id) REFERENCES blog_authors (id)
) {clustered};
CREATE INDEX blog_post_authors_of ON blog_post_authors (author_id, post_id);

CREATE TABLE blog_tags (
    id {id} NOT NULL PRIMARY KEY,
    kind {key:16} NOT NULL,
    slug {key:100} NOT NULL,
    name {key:80} NOT NULL,
    parent_id {id},
    description {key:1000} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
) {clustered};
CREATE UNIQUE INDEX blog_tags_slug ON blog_tags (slug);
CREATE INDEX blog_tags_kind ON blog_tags (kind, slug);

CREATE TABLE blog_post_tags (
    post_id {id} NOT NULL,
    tag_id {id} NOT NULL,
    position {int} NOT NULL,
    PRIMARY KEY (post_id, tag_id),
    CONSTRAINT blog_post_tags_post FOREIGN KEY (post_id) REFERENCES blog_posts (id),
    CONSTRAINT blog_post_tags_tag FOREIGN KEY (tag_id) REFERENCES blog_tags (id)
) {clustered};
CREATE INDEX blog_post_tags_of ON blog_post_tags (tag_id, post_id);

CREATE TABLE blog_redirects (
    id {id} NOT NULL PRIMARY KEY,
    from_path {key:700} NOT NULL,
    to_url {key:2000} NOT NULL,
    status {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL
);
CREATE UNIQUE INDEX blog_redirects_from ON blog_redirects (from_path);

-- The conversation below a post, or below a page that lives elsewhere. The key is a hash of the post's id or of the canonical address.
CREATE TABLE blog_threads (
    id {id} NOT NULL PRIMARY KEY,
    subject_kind {key:8} NOT NULL,
    subject_key {hash} NOT NULL,
    post_id {id},
    url {key:2000},
    title {key:255} NOT NULL,
    policy {key:16},
    last_seq {int} NOT NULL,
    comment_count {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    version {int} NOT NULL,
    CONSTRAINT blog_threads_of_post FOREIGN KEY (post_id) REFERENCES blog_posts (id)
);
CREATE UNIQUE INDEX blog_threads_subject ON blog_threads (subject_key);
CREATE UNIQUE INDEX blog_threads_post ON blog_threads (post_id);

-- A parent is a comment of the same thread. There is no foreign key for it: one engine deletes row by row and would refuse a whole thread.
CREATE TABLE blog_comments (
    id {id} NOT NULL PRIMARY KEY,
    thread_id {id} NOT NULL,
    seq {int} NOT NULL,
    parent_id {id},
    root_id {id} NOT NULL,
    depth {int} NOT NULL,
    author_user_id {id},
    author_name {key:80} NOT NULL,
    guest_website {key:500},
    guest_email_sealed {bytes},
    guest_key {hash},
    edit_token_hash {hash},
    status {key:16} NOT NULL,
    is_deleted {flag} NOT NULL,
    was_approved {flag} NOT NULL,
    spam_score {int} NOT NULL,
    ip_hash {hash},
    body_hash {hash},
    reply_count {int} NOT NULL,
    report_count {int} NOT NULL,
    render_version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    edited_at {time},
    version {int} NOT NULL,
    body_source {text} NOT NULL,
    body_html {text} NOT NULL,
    CONSTRAINT blog_comments_thread FOREIGN KEY (thread_id) REFERENCES blog_threads (id)
);
CREATE UNIQUE INDEX blog_comments_seq ON blog_comments (thread_id, seq);
CREATE INDEX blog_comments_children ON blog_comments (parent_id, seq);
CREATE INDEX blog_comments_root ON blog_comments (root_id, seq);
CREATE INDEX blog_comments_status ON blog_comments (status, created_at, id);
CREATE INDEX blog_comments_user ON blog_comments (author_user_id, was_approved);
CREATE INDEX blog_comments_guest ON blog_comments (guest_key, was_approved);
CREATE INDEX blog_comments_address ON blog_comments (ip_hash, created_at);
CREATE INDEX blog_comments_body ON blog_comments (body_hash, created_at);
CREATE INDEX blog_comments_created ON blog_comments (created_at, id);
CREATE INDEX blog_comments_rendered ON blog_comments (render_version);

-- What people search: posts that are published, or will be, and stand in lists.
{fulltext:blog_search};
