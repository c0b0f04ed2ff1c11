-- Administrators' grants on their logins, and cookies that are remembered.

ALTER TABLE accounts_sessions ADD COLUMN admin_until {time};
ALTER TABLE accounts_sessions ADD COLUMN admin_seen_at {time};
ALTER TABLE accounts_sessions ADD COLUMN is_remembered {flag} NOT NULL DEFAULT 0;
