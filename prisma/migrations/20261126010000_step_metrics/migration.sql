-- A step's metrics are a map from name to number, so that a new metric needs no column. What is there already moves into it.
-- AlterTable
ALTER TABLE "step_metrics" ADD COLUMN     "metrics" JSONB;

-- JSON has no NaN and no infinity: such a value is left out, as is what was not measured.
UPDATE "step_metrics" SET "metrics" = jsonb_strip_nulls(jsonb_build_object(
  'epoch', "epoch",
  'train_loss', "train_loss",
  'train_mean_token_accuracy', "train_mean_token_accuracy",
  'learning_rate', "learning_rate",
  'grad_norm', "grad_norm",
  'tokens', "tokens",
  'supervised_tokens', "supervised_tokens",
  'seconds', "seconds",
  'valid_loss', CASE WHEN "valid_loss" BETWEEN -1e308 AND 1e308 THEN "valid_loss" END,
  'valid_mean_token_accuracy', CASE WHEN "valid_mean_token_accuracy" BETWEEN -1e308 AND 1e308 THEN "valid_mean_token_accuracy" END,
  'full_valid_loss', CASE WHEN "full_valid_loss" BETWEEN -1e308 AND 1e308 THEN "full_valid_loss" END,
  'full_valid_mean_token_accuracy', CASE WHEN "full_valid_mean_token_accuracy" BETWEEN -1e308 AND 1e308 THEN "full_valid_mean_token_accuracy" END
));

-- AlterTable
ALTER TABLE "step_metrics" ALTER COLUMN "metrics" SET NOT NULL,
DROP COLUMN "epoch",
DROP COLUMN "train_loss",
DROP COLUMN "train_mean_token_accuracy",
DROP COLUMN "learning_rate",
DROP COLUMN "grad_norm",
DROP COLUMN "tokens",
DROP COLUMN "supervised_tokens",
DROP COLUMN "seconds",
DROP COLUMN "valid_loss",
DROP COLUMN "valid_mean_token_accuracy",
DROP COLUMN "full_valid_loss",
DROP COLUMN "full_valid_mean_token_accuracy";
