-- When the operator's policy removes a job that has ended, and its checkpoints. Set by the sweep a day or more before.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "expires_at" TIMESTAMP(3);

-- AlterTable
ALTER TABLE "checkpoints" ADD COLUMN     "expires_at" TIMESTAMP(3);
