-- Files and jobs of before belong to the one owner there was. New ones always say whose they are: no default stays.
-- AlterTable
ALTER TABLE "files" ADD COLUMN     "owner" TEXT NOT NULL DEFAULT 'graft';
ALTER TABLE "files" ALTER COLUMN "owner" DROP DEFAULT;

-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "owner" TEXT NOT NULL DEFAULT 'graft';
ALTER TABLE "jobs" ALTER COLUMN "owner" DROP DEFAULT;

-- DropIndex
DROP INDEX "files_created_at_id_idx";

-- DropIndex
DROP INDEX "jobs_created_at_id_idx";

-- DropIndex
DROP INDEX "jobs_idempotency_key_key";

-- CreateIndex
CREATE INDEX "files_owner_created_at_id_idx" ON "files"("owner", "created_at", "id");

-- CreateIndex
CREATE INDEX "jobs_owner_created_at_id_idx" ON "jobs"("owner", "created_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "jobs_owner_idempotency_key_key" ON "jobs"("owner", "idempotency_key");
