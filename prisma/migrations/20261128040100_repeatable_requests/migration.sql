-- What POST requests answered, so that a client that lost the answer gets it again instead of a second job.
-- CreateTable
CREATE TABLE "repeatable_requests" (
    "owner" TEXT NOT NULL,
    "key_sha256" TEXT NOT NULL,
    "claim" TEXT NOT NULL,
    "route" TEXT NOT NULL,
    "body_sha256" TEXT,
    "status" INTEGER,
    "answer" TEXT,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),
    "alive_at" TIMESTAMP(3) NOT NULL DEFAULT (clock_timestamp() AT TIME ZONE 'UTC'),

    CONSTRAINT "repeatable_requests_pkey" PRIMARY KEY ("owner","key_sha256")
);

-- CreateIndex
CREATE INDEX "repeatable_requests_created_at_idx" ON "repeatable_requests"("created_at");
