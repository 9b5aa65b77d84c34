-- The trace that a job belongs to. Jobs of older versions, and those made without tracing, have none.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN "trace_parent" TEXT;
