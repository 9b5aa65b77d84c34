ALTER TABLE "integration_runs" ADD COLUMN "latest" JSONB;
