-- Files that people upload, the sizes made of pictures, and where each file is used.

CREATE TABLE media_files (
    id {id} NOT NULL PRIMARY KEY,
    owner_user_id {id},
    sha256 {hash} NOT NULL,
    mime {key:100} NOT NULL,
    kind {key:16} NOT NULL,
    byte_count {int} NOT NULL,
    width {int},
    height {int},
    alt {text},
    is_decorative {flag} NOT NULL,
    focal_x {int} NOT NULL,
    focal_y {int} NOT NULL,
    placeholder {key:64},
    storage_key {key:190} NOT NULL,
    visibility {key:16} NOT NULL,
    original_name {key:255} NOT NULL,
    version {int} NOT NULL,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL
);
CREATE INDEX media_files_created ON media_files (created_at, id);
CREATE INDEX media_files_owner ON media_files (owner_user_id, created_at, id);

CREATE TABLE media_variants (
    media_id {id} NOT NULL,
    preset {key:32} NOT NULL,
    format {key:8} NOT NULL,
    spec_hash {key:16} NOT NULL,
    width {int} NOT NULL,
    height {int} NOT NULL,
    byte_count {int} NOT NULL,
    storage_key {key:190} NOT NULL,
    created_at {time} NOT NULL,
    PRIMARY KEY (media_id, preset, format),
    CONSTRAINT media_variants_media FOREIGN KEY (media_id) REFERENCES media_files (id)
);

-- The key keeps a file from being deleted while somebody begins to use it.
CREATE TABLE media_usages (
    media_id {id} NOT NULL,
    subject_kind {key:64} NOT NULL,
    subject_id {id} NOT NULL,
    PRIMARY KEY (media_id, subject_kind, subject_id),
    CONSTRAINT media_usages_media FOREIGN KEY (media_id) REFERENCES media_files (id)
);
CREATE INDEX media_usages_subject ON media_usages (subject_kind, subject_id);
