"""What the rows work with."""

import os
import time

import openai

# How long the one job may take, on a slow machine beside other clients' jobs.
TRAINED_WITHIN_S = 300


class Setting:
    def __init__(self, instructions):
        self.base_url = instructions["baseURL"]
        self.faulty_url = instructions["faultyURL"]
        self.key = instructions["key"]
        self.dataset = instructions["dataset"]
        self.client = openai.OpenAI(base_url=self.base_url, api_key=self.key, admin_api_key=self.key)
        self.asynchronous = lambda: openai.AsyncOpenAI(base_url=self.base_url, api_key=self.key, admin_api_key=self.key)
        self._training = None
        self._trained = None

    def through(self, fault, name, **options):
        """A client whose answers are damaged as the fault's name says, the first one or all; each name has its own first one."""
        url = f"{self.faulty_url}/{fault}/python-{os.getpid()}-{name}/v1"
        return openai.OpenAI(base_url=url, api_key=self.key, admin_api_key=self.key, **options)

    def upload(self, filename="train.jsonl", **more):
        return self.client.files.create(file=(filename, self.dataset.encode()), purpose="fine-tune", **more)

    def dataset_file(self):
        """The id of a new file with the dataset, once it has been read."""
        return self.client.files.wait_for_processing(self.upload().id, poll_interval=0.2).id

    def new_job(self, **more):
        return self.client.fine_tuning.jobs.create(**{"model": "graft-tiny", "training_file": self.dataset_file(), **more})

    def begin_training(self):
        method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}
        self._training = self.new_job(suffix="conformance", seed=3, method=method).id

    def trained(self):
        """The one job that trains to its end, posted once for all rows that need it."""
        deadline = time.monotonic() + TRAINED_WITHIN_S
        while self._trained is None:
            job = self.client.fine_tuning.jobs.retrieve(self._training)
            if job.status == "succeeded":
                self._trained = job
            elif job.status in ("failed", "cancelled"):
                raise RuntimeError(f"the job {job.status}: {job.error and job.error.message}")
            elif time.monotonic() > deadline:
                raise RuntimeError(f"the job has not ended after {TRAINED_WITHIN_S} s")
            else:
                time.sleep(0.5)
        return self._trained


ROWS = []


def row(method, circumstance):
    """Adds a function to the rows: what is called, and in which circumstance."""

    def add(call):
        ROWS.append((method, circumstance, call))
        return call

    return add
