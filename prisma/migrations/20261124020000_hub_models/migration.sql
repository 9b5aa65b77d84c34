-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "model_revision" TEXT;

-- AlterTable
ALTER TABLE "base_models" ADD COLUMN     "revision" TEXT;
