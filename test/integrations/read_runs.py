"""Reads the runs of an experiment with MLflow's own client: read_runs.py URI EXPERIMENT"""
import json
import sys

import mlflow
from mlflow.tracking import MlflowClient

uri, name = sys.argv[1:]
client = MlflowClient(tracking_uri=uri)
experiment = client.get_experiment_by_name(name)
runs = [] if experiment is None else client.search_runs([experiment.experiment_id])
json.dump(
    [
        {
            "name": run.info.run_name,
            "status": run.info.status,
            "start": run.info.start_time,
            "end": run.info.end_time,
            "params": run.data.params,
            "tags": run.data.tags,
            "history": {
                key: [[m.step, m.value, m.timestamp] for m in client.get_metric_history(run.info.run_id, key)]
                for key in run.data.metrics
            },
        }
        for run in runs
    ],
    sys.stdout,
)
