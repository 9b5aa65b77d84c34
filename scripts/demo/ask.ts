/**
 * Asks a model questions: `ask.ts '{"modelDir", "adapterDir"?, "prompts", "chats", "maxTokens"}'` prints the answers as a JSON array.
 * The demo runs it in a separate process, so that TensorFlow's memory is freed when it ends.
 */
import { GREEDY, openGenerationModel } from '../../workers/engine/index.ts';

const { modelDir, adapterDir, prompts, chats, maxTokens } = JSON.parse(process.argv[2] ?? '{}') as {
  modelDir: string;
  adapterDir?: string;
  prompts: string[];
  /** Each prompt in a conversation, or as it is. */
  chats: boolean;
  maxTokens: number;
};
const model = await openGenerationModel({ modelDir });
const adapter = adapterDir === undefined ? null : 'adapter';
if (adapterDir !== undefined) await model.addAdapter('adapter', adapterDir);
const answers = await Promise.all(
  prompts.map(async (content) => {
    const asked = () => model.conversation([{ role: 'user', content, extra: new Map() }], { adapter, tools: null });
    const prompt = await (chats ? asked() : model.tokens(content));
    return (await model.generate({ ...GREEDY, prompt, adapter, maxTokens })).text;
  }),
);
model.dispose();
console.log(JSON.stringify(answers));
