-- AlterTable
ALTER TABLE "jobs" ADD COLUMN     "evaluation_file_id" TEXT,
ADD COLUMN     "evaluation_max_examples" INTEGER,
ADD COLUMN     "evaluations" JSONB,
ADD COLUMN     "max_completion_tokens" INTEGER,
ADD COLUMN     "sample_prompts" JSONB;

-- CreateTable
CREATE TABLE "job_samples" (
    "id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "prompt" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "tokens" INTEGER NOT NULL,
    "finish_reason" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "job_samples_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "job_samples_job_id_step_prompt_key" ON "job_samples"("job_id", "step", "prompt");

-- AddForeignKey
ALTER TABLE "job_samples" ADD CONSTRAINT "job_samples_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;
