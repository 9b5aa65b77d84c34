"""Writes a run with Weights & Biases' own client: write_wandb_run.py URL KEY PROJECT NAME STEPS"""
import json
import sys
import tempfile

import wandb

url, key, project, name, steps = sys.argv[1:]
quiet = {"x_disable_stats": True, "x_disable_meta": True, "disable_git": True, "disable_code": True, "console": "off", "silent": True}
with tempfile.TemporaryDirectory() as folder:
    wandb.login(key=key, host=url, verify=False)
    settings = wandb.Settings(base_url=url, root_dir=folder, **quiet)
    run = wandb.init(project=project, id=name, name="shown", tags=["a", "b"], config={"learning_rate": 1e-4, "tuning": {"r": 4}}, resume="allow", settings=settings)
    for step in range(1, int(steps) + 1):
        run.log({"train_loss": 4 / step}, step=step)
    run.finish()
json.dump({"version": wandb.__version__}, sys.stdout)
