-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "may_share_base" BOOLEAN NOT NULL DEFAULT false;
