-- What a stored hash costs to check, for the mix that unknown names are checked with, and who has to change a password (ENU-2, PWD-7).
ALTER TABLE accounts_passwords ADD COLUMN scheme {key:64};
ALTER TABLE accounts_passwords ADD COLUMN must_change {flag} NOT NULL DEFAULT 0;
CREATE INDEX accounts_passwords_scheme ON accounts_passwords (scheme);

-- When the window of a counter that forgets began; counters of names never forget by themselves (LOG-3, RST-9, ENU-6).
ALTER TABLE accounts_throttles ADD COLUMN first_at {time} NOT NULL DEFAULT 0;

-- A change of address: asked for, proven at both ends, made, and undone while the former owner may say that it was not theirs.
CREATE TABLE accounts_email_changes (
    id {id} NOT NULL PRIMARY KEY,
    user_id {id} NOT NULL,
    email {key:254} NOT NULL,
    email_norm {key:254} NOT NULL,
    old_email {key:254} NOT NULL,
    new_hash {hash} NOT NULL,
    old_hash {hash},
    undo_hash {hash},
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    new_confirmed_at {time},
    old_confirmed_at {time},
    applied_at {time},
    undo_until {time},
    undone_at {time},
    ended_at {time},
    CONSTRAINT accounts_email_changes_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_email_changes_new ON accounts_email_changes (new_hash);
CREATE UNIQUE INDEX accounts_email_changes_old ON accounts_email_changes (old_hash);
CREATE UNIQUE INDEX accounts_email_changes_undo ON accounts_email_changes (undo_hash);
CREATE INDEX accounts_email_changes_user_id ON accounts_email_changes (user_id, created_at);
CREATE INDEX accounts_email_changes_email ON accounts_email_changes (email_norm);
CREATE INDEX accounts_email_changes_expires ON accounts_email_changes (expires_at);
