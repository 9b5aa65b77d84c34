"""Makes a job with the client that openapi-python-client generated, in the current folder: URL KEY MODEL DATASET."""

import importlib
import io
import pkgutil
import sys

sys.path.insert(0, ".")
import graft_client
from graft_client.api.files import create_file
from graft_client.api.fine_tuning import create_fine_tuning_job, list_paginated_fine_tuning_jobs
from graft_client.models import CreateFile, CreateFilePurpose, CreateFineTuningJob
from graft_client.types import File

url, key, model, dataset = sys.argv[1:]
for module in pkgutil.walk_packages(graft_client.__path__, "graft_client."):
    importlib.import_module(module.name)

client = graft_client.AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True)
upload = File(payload=io.BytesIO(dataset.encode()), file_name="train.jsonl")
file = create_file.sync(client=client, body=CreateFile(file=upload, purpose=CreateFilePurpose.FINE_TUNE))
job = create_fine_tuning_job.sync(client=client, body=CreateFineTuningJob(model=model, training_file=file.id))
newest = list_paginated_fine_tuning_jobs.sync(client=client, limit=1).data[0]
assert newest.id == job.id, f"{newest} is not {job}"
