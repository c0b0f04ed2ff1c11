-- Files that an earlier state of something showed, such as a revision of a post: they may be deleted, but are not swept.
CREATE TABLE media_keeps (
    media_id {id} NOT NULL,
    subject_kind {key:64} NOT NULL,
    subject_id {id} NOT NULL,
    PRIMARY KEY (media_id, subject_kind, subject_id),
    CONSTRAINT media_keeps_media FOREIGN KEY (media_id) REFERENCES media_files (id)
);
CREATE INDEX media_keeps_subject ON media_keeps (subject_kind, subject_id);
