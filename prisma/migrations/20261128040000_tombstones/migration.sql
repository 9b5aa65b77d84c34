-- Where in its list something was that is gone: a client that deletes what it lists continues after an item that no longer exists.
-- CreateTable
CREATE TABLE "tombstones" (
    "id" TEXT NOT NULL,
    "scope" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL,
    "step" INTEGER,
    "gone_at" TIMESTAMP(3) NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),

    CONSTRAINT "tombstones_pkey" PRIMARY KEY ("scope","id")
);

-- CreateIndex
CREATE INDEX "tombstones_gone_at_idx" ON "tombstones"("gone_at");

-- Triggers, because rows go by many ways: a request, a sweep, a cascade. Attach this one to any table that has an owner and is listed by (created_at, id).
CREATE FUNCTION leave_tombstone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tombstones (id, scope, created_at) VALUES (OLD.id, OLD.owner, OLD.created_at) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER files_leave_tombstone AFTER DELETE ON files FOR EACH ROW EXECUTE FUNCTION leave_tombstone();
CREATE TRIGGER jobs_leave_tombstone AFTER DELETE ON jobs FOR EACH ROW EXECUTE FUNCTION leave_tombstone();

-- A tuned model is listed where its job is.
CREATE FUNCTION leave_model_tombstone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tombstones (id, scope, created_at) VALUES (OLD.fine_tuned_model, OLD.owner, OLD.created_at) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER jobs_leave_model_tombstone AFTER DELETE ON jobs FOR EACH ROW
    WHEN (OLD.fine_tuned_model IS NOT NULL) EXECUTE FUNCTION leave_model_tombstone();
CREATE TRIGGER jobs_lose_model AFTER UPDATE OF fine_tuned_model ON jobs FOR EACH ROW
    WHEN (OLD.fine_tuned_model IS NOT NULL AND NEW.fine_tuned_model IS NULL) EXECUTE FUNCTION leave_model_tombstone();

-- Checkpoints are listed by step, and nobody lists those of a job that is gone.
CREATE FUNCTION leave_checkpoint_tombstone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tombstones (id, scope, created_at, step)
        SELECT OLD.id, OLD.job_id, OLD.created_at, OLD.step WHERE EXISTS (SELECT 1 FROM jobs WHERE id = OLD.job_id)
        ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER checkpoints_leave_tombstone AFTER DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION leave_checkpoint_tombstone();

-- The list of tuned models, among jobs that have none.
CREATE INDEX "jobs_tuned_idx" ON "jobs"("owner", "created_at", "fine_tuned_model") WHERE fine_tuned_model IS NOT NULL;
