-- Administrators' grants on their logins, cookies that are remembered, invitations.

ALTER TABLE accounts_sessions ADD COLUMN admin_until {time};
ALTER TABLE accounts_sessions ADD COLUMN admin_seen_at {time};
ALTER TABLE accounts_sessions ADD COLUMN is_remembered {flag} NOT NULL DEFAULT 0;

-- An account that waits for whoever holds the mailbox. The identifiers of its roles are separated by spaces.
CREATE TABLE accounts_invitations (
    id {id} NOT NULL PRIMARY KEY,
    email {key:254} NOT NULL,
    email_norm {key:254} NOT NULL,
    token_hash {hash} NOT NULL,
    role_ids {text} NOT NULL,
    locale {key:35} NOT NULL,
    invited_by {id},
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    accepted_at {time},
    revoked_at {time}
);
CREATE UNIQUE INDEX accounts_invitations_token ON accounts_invitations (token_hash);
CREATE INDEX accounts_invitations_email ON accounts_invitations (email_norm);
CREATE INDEX accounts_invitations_created ON accounts_invitations (created_at, id);
CREATE INDEX accounts_invitations_expires ON accounts_invitations (expires_at);
