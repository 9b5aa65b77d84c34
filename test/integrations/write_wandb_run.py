"""Writes a run with Weights & Biases' own client, or continues it: write_wandb_run.py URL KEY PROJECT NAME FIRST_STEP LAST_STEP EXIT_CODE"""
import sys
import tempfile

import wandb

url, key, project, name, first, last, exit_code = sys.argv[1:]
quiet = {"x_disable_stats": True, "x_disable_meta": True, "disable_git": True, "disable_code": True, "console": "off", "silent": True}
with tempfile.TemporaryDirectory() as folder:
    wandb.login(key=key, host=url, verify=False)
    settings = wandb.Settings(base_url=url, root_dir=folder, **quiet)
    run = wandb.init(project=project, id=name, name="shown", tags=["a", "b"], config={"learning_rate": 1e-4, "tuning": {"r": 4}}, resume="allow", settings=settings)
    for step in range(int(first), int(last) + 1):
        run.log({"train_loss": 4 / step}, step=step)
    run.finish(exit_code=int(exit_code))
