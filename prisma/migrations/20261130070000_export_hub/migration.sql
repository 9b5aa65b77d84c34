-- Where an export is pushed on the hub, and the user's token for it, encrypted, until the export has ended. Older exports have neither.
-- AlterTable
ALTER TABLE "exports" ADD COLUMN "hub" JSONB,
ADD COLUMN "hub_token" TEXT;
