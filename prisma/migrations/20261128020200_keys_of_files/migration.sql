-- A download, a deletion and the sweep look for files by their object.
-- CreateIndex
CREATE INDEX "files_storage_key_idx" ON "files"("storage_key");
