-- What owned a job until now becomes its project; the organization stays in the names of its models.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "organization" TEXT NOT NULL DEFAULT 'graft';
