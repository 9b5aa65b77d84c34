-- What datasets are good for. Files of before have none: jobs judge them when they read them.
-- CreateTable
CREATE TABLE "file_validations" (
    "file_id" TEXT NOT NULL,
    "source" JSONB,
    "claimed_by" TEXT,
    "claimed_until" TIMESTAMP(3),
    "tries" INTEGER NOT NULL DEFAULT 0,
    "content" JSONB,
    "done_at" TIMESTAMP(3),

    CONSTRAINT "file_validations_pkey" PRIMARY KEY ("file_id")
);

-- CreateIndex
CREATE INDEX "file_validations_done_at_idx" ON "file_validations"("done_at");

-- AddForeignKey
ALTER TABLE "file_validations" ADD CONSTRAINT "file_validations_file_id_fkey" FOREIGN KEY ("file_id") REFERENCES "files"("id") ON DELETE CASCADE ON UPDATE CASCADE;
