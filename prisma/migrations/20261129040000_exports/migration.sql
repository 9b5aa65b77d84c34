-- CreateTable
CREATE TABLE "exports" (
    "id" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "model" TEXT NOT NULL,
    "source" JSONB NOT NULL,
    "format" TEXT NOT NULL,
    "dtype" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'queued',
    "done_bytes" BIGINT,
    "total_bytes" BIGINT,
    "warnings" TEXT[] DEFAULT ARRAY[]::TEXT[],
    "proof" JSONB,
    "error" JSONB,
    "folder" TEXT,
    "files" JSONB,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "worker_id" TEXT,
    "heartbeat_at" TIMESTAMP(3),
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMP(3),
    "finished_at" TIMESTAMP(3),
    "expires_at" TIMESTAMP(3),

    CONSTRAINT "exports_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "exports_owner_created_at_id_idx" ON "exports"("owner", "created_at", "id");

-- CreateIndex
CREATE INDEX "exports_status_idx" ON "exports"("status");

-- CreateIndex
CREATE INDEX "exports_job_id_idx" ON "exports"("job_id");

-- AddForeignKey
ALTER TABLE "exports" ADD CONSTRAINT "exports_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TRIGGER exports_leave_tombstone AFTER DELETE ON exports FOR EACH ROW EXECUTE FUNCTION leave_tombstone();
