-- Administrators' grants on their logins, cookies that are remembered, invitations, personal keys.

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

-- What programs hold. The secret is hashed; the public identifier finds it. Scopes are separated by spaces.
CREATE TABLE accounts_api_keys (
    id {id} NOT NULL PRIMARY KEY,
    public_id {key:16} NOT NULL,
    secret_hash {hash} NOT NULL,
    user_id {id} NOT NULL,
    name {key:80} NOT NULL,
    scopes {text} NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    last_used_at {time},
    revoked_at {time},
    CONSTRAINT accounts_api_keys_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_api_keys_public ON accounts_api_keys (public_id);
CREATE INDEX accounts_api_keys_user_id ON accounts_api_keys (user_id, created_at);
CREATE INDEX accounts_api_keys_created ON accounts_api_keys (created_at, id);
CREATE INDEX accounts_api_keys_expires ON accounts_api_keys (expires_at);
CREATE INDEX accounts_api_keys_revoked ON accounts_api_keys (revoked_at);
