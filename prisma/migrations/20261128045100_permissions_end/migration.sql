-- A permission ends with the model or checkpoint that it is for, which goes by many ways: a request, a sweep, a worker that thins its checkpoints.
CREATE FUNCTION end_permissions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM checkpoint_permissions WHERE model = to_jsonb(OLD) ->> TG_ARGV[0];
    RETURN NULL;
END $$;
CREATE TRIGGER checkpoints_end_permissions AFTER DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION end_permissions('name');
CREATE TRIGGER jobs_end_permissions AFTER UPDATE OF fine_tuned_model ON jobs FOR EACH ROW
    WHEN (OLD.fine_tuned_model IS NOT NULL AND NEW.fine_tuned_model IS NULL) EXECUTE FUNCTION end_permissions('fine_tuned_model');
