import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { startLocalServer } from '../local-server.ts';

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What it does with each request; at first it accepts all. */
  answer: (response: ServerResponse) => void;
  close(): Promise<void>;
}

/** A web server on this machine that keeps what it is sent. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const { url, close } = await startLocalServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    received.push({ headers: request.headers, body });
    receiver.answer(response);
  });
  const receiver: Receiver = { url: `${url}/hook`, received, answer: accept, close };
  return receiver;
}

export const accept = (response: ServerResponse) => void response.writeHead(204).end();
