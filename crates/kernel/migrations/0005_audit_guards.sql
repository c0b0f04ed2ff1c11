-- An audit row is changed only by sealing it once and by erasing what may be erased; it is deleted only once a checkpoint stands for it.
CREATE TRIGGER platform_audit_kept BEFORE UPDATE ON platform_audit
WHEN NOT (
    NEW.id IS OLD.id AND NEW.at IS OLD.at AND NEW.actor IS OLD.actor AND NEW.action IS OLD.action AND NEW.subject IS OLD.subject
    AND NEW.result IS OLD.result AND NEW.request_id IS OLD.request_id AND NEW.detail IS OLD.detail
    AND NEW.origin_hash IS OLD.origin_hash AND NEW.personal_hash IS OLD.personal_hash
    AND (NEW.ip IS OLD.ip OR NEW.ip IS NULL) AND (NEW.user_agent IS OLD.user_agent OR NEW.user_agent IS NULL)
    AND (NEW.origin_salt IS OLD.origin_salt OR NEW.origin_salt IS NULL)
    AND (NEW.personal IS OLD.personal OR NEW.personal IS NULL)
    AND (NEW.personal_salt IS OLD.personal_salt OR NEW.personal_salt IS NULL)
    AND (OLD.seq IS NULL OR (NEW.seq IS OLD.seq AND NEW.prev_hash IS OLD.prev_hash AND NEW.hash IS OLD.hash))
)
BEGIN SELECT RAISE(ABORT, 'an audit row is never changed'); END;
CREATE TRIGGER platform_audit_stays BEFORE DELETE ON platform_audit
WHEN OLD.seq IS NULL OR NOT EXISTS (SELECT 1 FROM platform_audit_checkpoints WHERE kind = 'pruned' AND seq >= OLD.seq)
BEGIN SELECT RAISE(ABORT, 'an audit row is deleted only when it is pruned'); END;
