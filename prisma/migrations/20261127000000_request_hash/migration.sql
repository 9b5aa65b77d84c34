-- What a repeated Idempotency-Key is compared with. Jobs of before have none.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "request_sha256" TEXT;
