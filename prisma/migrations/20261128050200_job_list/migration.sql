-- For the list of jobs by metadata. A pair that few jobs have is found in the first index; one that many have by walking the list, whose index there is already.
CREATE INDEX "jobs_metadata_idx" ON "jobs" USING GIN ("metadata" jsonb_path_ops);

-- Jobs without metadata.
CREATE INDEX "jobs_plain_idx" ON "jobs" ("owner", "created_at", "id") WHERE "metadata" IS NULL;
