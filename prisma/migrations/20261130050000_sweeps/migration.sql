-- Jobs that differ in some of their fields, and are compared.
-- CreateTable
CREATE TABLE "sweeps" (
    "id" TEXT NOT NULL,
    "owner" TEXT NOT NULL,
    "organization" TEXT NOT NULL,
    "status" TEXT NOT NULL DEFAULT 'running',
    "request" TEXT NOT NULL,
    "seed" INTEGER NOT NULL,
    "trials" JSONB NOT NULL,
    "created" INTEGER NOT NULL DEFAULT 0,
    "refused" JSONB NOT NULL DEFAULT '{}',
    "rung" INTEGER NOT NULL DEFAULT 0,
    "rungs" JSONB NOT NULL DEFAULT '[]',
    "waiting_for" TEXT,
    "outcome" JSONB,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "finished_at" TIMESTAMP(3),

    CONSTRAINT "sweeps_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "sweeps_owner_created_at_id_idx" ON "sweeps"("owner", "created_at", "id");

-- CreateIndex
CREATE INDEX "sweeps_status_idx" ON "sweeps"("status");

-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "sweep_id" TEXT,
ADD COLUMN     "sweep_index" INTEGER,
ADD COLUMN     "pause_at_step" INTEGER;

-- CreateIndex
CREATE UNIQUE INDEX "jobs_sweep_id_sweep_index_key" ON "jobs"("sweep_id", "sweep_index");

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_sweep_id_fkey" FOREIGN KEY ("sweep_id") REFERENCES "sweeps"("id") ON DELETE SET NULL ON UPDATE CASCADE;

CREATE TRIGGER sweeps_leave_tombstone AFTER DELETE ON sweeps FOR EACH ROW EXECUTE FUNCTION leave_tombstone();
