-- Each upload has a folder of its own in the object store, which its row names. Rows of before name none.
-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "adapter_folder" TEXT;

-- AlterTable
ALTER TABLE "checkpoints" ADD COLUMN     "folder" TEXT;
