-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "losses" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN     "lost_at_step" INTEGER,
ADD COLUMN     "resume_at" TIMESTAMP(3),
ADD COLUMN     "waiting_for" TEXT,
ADD COLUMN     "waiting_since" TIMESTAMP(3);
