-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "dry_run" BOOLEAN NOT NULL DEFAULT false;

-- Workers of older versions announce neither.
-- AlterTable
ALTER TABLE "workers" ADD COLUMN     "memory_bytes" BIGINT;

-- AlterTable
ALTER TABLE "base_models" ADD COLUMN     "config" TEXT;
