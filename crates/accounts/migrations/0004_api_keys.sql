-- What people give to programs instead of a password (KEY-1). The key itself is shown once and stands nowhere.

CREATE TABLE accounts_api_keys (
    id {id} NOT NULL PRIMARY KEY,
    public_id {key:8} NOT NULL,
    secret_hash {hash} NOT NULL,
    user_id {id} NOT NULL,
    name {key:80} NOT NULL,
    scopes {json} NOT NULL,
    created_at {time} NOT NULL,
    expires_at {time} NOT NULL,
    last_used_at {time},
    revoked_at {time},
    CONSTRAINT accounts_api_keys_user FOREIGN KEY (user_id) REFERENCES accounts_users (id)
);
CREATE UNIQUE INDEX accounts_api_keys_public_id ON accounts_api_keys (public_id);
CREATE INDEX accounts_api_keys_user_id ON accounts_api_keys (user_id, revoked_at, expires_at);
CREATE INDEX accounts_api_keys_created ON accounts_api_keys (created_at, id);
CREATE INDEX accounts_api_keys_expires ON accounts_api_keys (expires_at);
CREATE INDEX accounts_api_keys_revoked ON accounts_api_keys (revoked_at);
