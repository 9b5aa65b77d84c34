-- A job may start from a tuned model or a checkpoint.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "start_from" JSONB;
