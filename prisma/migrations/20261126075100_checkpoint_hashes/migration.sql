-- AlterTable
ALTER TABLE "checkpoints" ADD COLUMN     "files" JSONB,
ADD COLUMN     "problem" TEXT;
