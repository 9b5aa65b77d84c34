-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "priority" INTEGER NOT NULL DEFAULT 0;

-- CreateTable
CREATE TABLE "turns" (
    "project" TEXT NOT NULL,
    "number" BIGSERIAL NOT NULL,

    CONSTRAINT "turns_pkey" PRIMARY KEY ("project")
);

-- Partial, so that their size is that of the queue and of the machines, however many jobs there have been. Prisma's schema cannot say that.
-- The jobs that wait, each project's in their order; INCLUDE has what else decides which is next.
CREATE INDEX "jobs_waiting_idx" ON "jobs" ("owner", ("attempt" > 0) DESC, "priority" DESC, "created_at", "id")
    INCLUDE ("attempt", "model", "model_revision", "resume_at")
    WHERE "status" IN ('validating_files', 'queued') AND "worker_id" IS NULL;

-- The jobs that a worker has.
CREATE INDEX "jobs_held_idx" ON "jobs" ("owner") WHERE "worker_id" IS NOT NULL;
