/** `npm run demo:data`: writes the demo's dataset as train.jsonl and validation.jsonl, for trying the service by hand. */
import { writeFileSync } from 'node:fs';
import { pirateDataset, toJsonLines } from './pirate-dataset.ts';

const { training, validation } = pirateDataset({ seed: 1, training: 200, validation: 40 });
for (const [file, conversations] of Object.entries({ 'train.jsonl': training, 'validation.jsonl': validation })) {
  writeFileSync(file, toJsonLines(conversations));
  console.log(`${file}: ${conversations.length} conversations`);
}
