-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "analysis" BOOLEAN NOT NULL DEFAULT false,
ADD COLUMN     "retention_file_id" TEXT;
