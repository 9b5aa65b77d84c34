-- Whoever follows a job is told of its events when they are committed, whichever version of the service wrote them. The payload is the job's id.
CREATE FUNCTION "notify_of_job_events"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('graft_job_events', job_id) FROM (SELECT DISTINCT job_id FROM added) AS jobs;
  RETURN NULL;
END $$;

CREATE TRIGGER "job_events_added" AFTER INSERT ON "job_events"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "notify_of_job_events"();

-- A stream of events ends with its job.
CREATE FUNCTION "notify_of_job"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('graft_job_events', OLD.id);
  RETURN NULL;
END $$;

CREATE TRIGGER "jobs_moved" AFTER UPDATE OF "status" ON "jobs"
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION "notify_of_job"();

CREATE TRIGGER "jobs_deleted" AFTER DELETE ON "jobs" FOR EACH ROW EXECUTE FUNCTION "notify_of_job"();
