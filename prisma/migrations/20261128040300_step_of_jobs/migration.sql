-- The last step that a job has done, for its object: lists of jobs need not look into the steps.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "step" INTEGER;
