"""What the rows work with."""

import os
import time

import openai

# How long a job may take, on a slow machine beside other clients' jobs.
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

    def upload(self, filename="train.jsonl", content=None, **more):
        return self.client.files.create(file=(filename, (content or self.dataset).encode()), purpose="fine-tune", **more)

    def dataset_file(self, content=None):
        """The id of a new file with this content, or with the dataset, once it has been read."""
        return self.client.files.wait_for_processing(self.upload(content=content).id, poll_interval=0.2).id

    def new_job(self, **more):
        return self.client.fine_tuning.jobs.create(**{"model": "graft-tiny", "training_file": self.dataset_file(), **more})

    def begin_training(self):
        method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}
        self._training = self.new_job(suffix="conformance", seed=3, method=method).id

    def trained(self):
        """The one job that most rows look at: it trains to its end, and is posted once."""
        if self._trained is None:
            self._trained = self.succeeded(self._training)
        return self._trained

    def succeeded(self, job_id):
        """The job, once it has succeeded."""
        deadline = time.monotonic() + TRAINED_WITHIN_S
        while True:
            job = self.client.fine_tuning.jobs.retrieve(job_id)
            if job.status == "succeeded":
                return job
            if job.status in ("failed", "cancelled"):
                raise RuntimeError(f"the job {job.status}: {job.error and job.error.message}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the job has not ended after {TRAINED_WITHIN_S} s")
            time.sleep(0.5)


ROWS = []


def row(method, circumstance):
    """Adds a function to the rows: what is called, and in which circumstance."""

    def add(call):
        ROWS.append((method, circumstance, call))
        return call

    return add
