import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { pythonTool } from '../../reference/python/tool.ts';
// Keeps Amazon's client from warning about Node 20.
import '../../src/object-store/s3.ts';

export interface S3Server {
  endpoint: string;
  bucket: string;
  close(): Promise<void>;
}

/** Starts moto's S3 server on a free port, with one empty bucket. Sets the AWS credentials of this process. */
export async function startS3Server(): Promise<S3Server> {
  const child = spawn(await pythonTool('s3'), ['-c', 'from moto.server import main; main()', '-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const endpoint = await new Promise<string>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`The S3 server exited with ${code} before it was listening`)));
    createInterface({ input: child.stderr }).on('line', (line) => {
      const address = line.match(/Running on (http:\/\/\S+)/)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
  process.env['AWS_ACCESS_KEY_ID'] = 'test';
  process.env['AWS_SECRET_ACCESS_KEY'] = 'test';
  const bucket = 'graft-test';
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  const close = async () => {
    child.kill();
    await once(child, 'exit');
  };
  return { endpoint, bucket, close };
}
