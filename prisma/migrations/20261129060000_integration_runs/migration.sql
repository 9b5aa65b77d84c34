-- How far a job has been shown to a tracking server. Jobs of older versions have none.
-- CreateTable
CREATE TABLE "integration_runs" (
    "job_id" TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'pending',
    "run_id" TEXT,
    "step" INTEGER NOT NULL DEFAULT 0,
    "elapsed_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "next_attempt_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "away_since" TIMESTAMP(3),
    "warned_at" TIMESTAMP(3),

    CONSTRAINT "integration_runs_pkey" PRIMARY KEY ("job_id", "position")
);

-- CreateIndex
CREATE INDEX "integration_runs_status_next_attempt_at_idx" ON "integration_runs"("status", "next_attempt_at");

-- AddForeignKey
ALTER TABLE "integration_runs" ADD CONSTRAINT "integration_runs_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;
