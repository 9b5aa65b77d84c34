-- CreateTable
CREATE TABLE "export_events" (
    "id" TEXT NOT NULL,
    "seq" BIGSERIAL NOT NULL,
    "export_id" TEXT NOT NULL,
    "level" TEXT NOT NULL,
    "message" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "export_events_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "export_events_export_id_seq_idx" ON "export_events"("export_id", "seq");

-- AddForeignKey
ALTER TABLE "export_events" ADD CONSTRAINT "export_events_export_id_fkey" FOREIGN KEY ("export_id") REFERENCES "exports"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Whoever follows an export is told of its events when they are committed, as of those of jobs and on the same channel. The payload is the export's id.
CREATE FUNCTION "notify_of_export_events"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('graft_job_events', export_id) FROM (SELECT DISTINCT export_id FROM added) AS exports;
  RETURN NULL;
END $$;

CREATE TRIGGER "export_events_added" AFTER INSERT ON "export_events"
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION "notify_of_export_events"();

-- A stream of events ends with its export.
CREATE TRIGGER "exports_moved" AFTER UPDATE OF "status" ON "exports"
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION "notify_of_job"();

CREATE TRIGGER "exports_deleted" AFTER DELETE ON "exports" FOR EACH ROW EXECUTE FUNCTION "notify_of_job"();
