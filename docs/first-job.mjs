import fs from 'node:fs';
import OpenAI from 'openai';

const client = new OpenAI(); // reads OPENAI_BASE_URL and OPENAI_API_KEY
const file = await client.files.create({ file: fs.createReadStream('train.jsonl'), purpose: 'fine-tune' });
let job = await client.fineTuning.jobs.create({ model: 'graft-tiny', training_file: file.id });
while (!['succeeded', 'failed', 'cancelled'].includes(job.status)) {
  await new Promise((resolve) => setTimeout(resolve, 2000));
  job = await client.fineTuning.jobs.retrieve(job.id);
}
console.log(job.status, job.fine_tuned_model ?? job.error);
