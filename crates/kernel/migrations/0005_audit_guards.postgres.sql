-- An audit row is changed only by sealing it once and by erasing what may be erased; it is deleted only once a checkpoint stands for it.
CREATE FUNCTION platform_audit_guard() RETURNS trigger AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.seq IS NULL OR NOT EXISTS (SELECT 1 FROM platform_audit_checkpoints WHERE kind = 'pruned' AND seq >= OLD.seq) THEN
            RAISE EXCEPTION 'an audit row is deleted only when it is pruned';
        END IF;
        RETURN OLD;
    END IF;
    IF (NEW.id, NEW.at, NEW.actor, NEW.action, NEW.subject, NEW.result, NEW.request_id, NEW.detail, NEW.origin_hash, NEW.personal_hash)
        IS DISTINCT FROM
        (OLD.id, OLD.at, OLD.actor, OLD.action, OLD.subject, OLD.result, OLD.request_id, OLD.detail, OLD.origin_hash, OLD.personal_hash)
        OR (NEW.ip IS NOT NULL AND NEW.ip IS DISTINCT FROM OLD.ip)
        OR (NEW.user_agent IS NOT NULL AND NEW.user_agent IS DISTINCT FROM OLD.user_agent)
        OR (NEW.origin_salt IS NOT NULL AND NEW.origin_salt IS DISTINCT FROM OLD.origin_salt)
        OR (NEW.personal IS NOT NULL AND NEW.personal IS DISTINCT FROM OLD.personal)
        OR (NEW.personal_salt IS NOT NULL AND NEW.personal_salt IS DISTINCT FROM OLD.personal_salt)
        OR (OLD.seq IS NOT NULL AND (NEW.seq, NEW.prev_hash, NEW.hash) IS DISTINCT FROM (OLD.seq, OLD.prev_hash, OLD.hash))
    THEN
        RAISE EXCEPTION 'an audit row is never changed';
    END IF;
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER platform_audit_guard BEFORE UPDATE OR DELETE ON platform_audit FOR EACH ROW EXECUTE FUNCTION platform_audit_guard();
