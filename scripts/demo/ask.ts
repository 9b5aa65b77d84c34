/**
 * Asks a model questions: `ask.ts '{"modelDir", "adapterDir"?, "prompts", "maxTokens"}'` prints the answers as a JSON array.
 * The demo runs it in a separate process, so that TensorFlow's memory is freed when it ends.
 */
import { Generator } from '../../workers/engine/index.ts';

const { modelDir, adapterDir, prompts, maxTokens } = JSON.parse(process.argv[2] ?? '{}') as {
  modelDir: string;
  adapterDir?: string;
  prompts: string[];
  maxTokens: number;
};
const generator = await Generator.open({ modelDir, ...(adapterDir !== undefined && { adapterDir }) });
const answers: string[] = [];
for (const prompt of prompts) {
  const { text } = await generator.chat([{ role: 'user', content: prompt }], { maxTokens, temperature: 0, seed: 0 });
  answers.push(text);
}
generator.dispose();
console.log(JSON.stringify(answers));
