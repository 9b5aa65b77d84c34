import Type from 'typebox';
import { count } from '../formats/count.ts';
import { nullable } from '../formats/nullable.ts';
import { unixSeconds } from '../formats/unix-seconds.ts';
import { listOf } from '../http/list-schema.ts';
import type { Machine } from './store.ts';

export const WorkerObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('worker'),
    hostname: Type.String(),
    device: Type.String({ description: 'What it trains on, such as `CPU` or `NVIDIA GPU 0`.' }),
    memory_bytes: nullable(count('What a training process may have of the main memory; null on a GPU.')),
    started_at: Type.Integer(),
    last_seen_at: Type.Integer({ description: 'A worker says every ten seconds that it is alive.' }),
    models: Type.Array(Type.String(), { description: 'The base models on its disk.' }),
    running_jobs: count('How many jobs it has, of any project.'),
    jobs: Type.Array(Type.String(), { description: 'Which of them belong to the project of the key.' }),
  },
  { title: 'Worker' },
);

export const WorkerList = listOf(WorkerObject);

export const workerView = (machine: Machine): Type.Static<typeof WorkerObject> => ({
  id: machine.id,
  object: 'worker',
  hostname: machine.hostname,
  device: machine.device,
  memory_bytes: machine.memoryBytes,
  started_at: unixSeconds(machine.startedAt),
  last_seen_at: unixSeconds(machine.heartbeatAt),
  models: machine.models,
  running_jobs: machine.runningJobs,
  jobs: machine.jobs,
});
