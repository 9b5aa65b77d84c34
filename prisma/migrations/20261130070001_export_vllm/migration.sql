-- Under which name a vLLM serves an export. Older exports are not served by one.
-- AlterTable
ALTER TABLE "exports" ADD COLUMN "vllm_name" TEXT;
