-- What an upload in parts says of a table.
-- AlterTable
ALTER TABLE "uploads" ADD COLUMN     "source" JSONB;
